include { memory_for } from '../resources'

// Chooses the cells of one sample; a sample that cannot be used gives no counts, and the run goes on.
process QC {
    tag "${sample}"
    label 'light'
    memory { memory_for([matrix, raw], 1, 40, task.attempt) }
    container 'cartox/counts:0.1.0'
    conda "${moduleDir}/../../containers/conda/counts.yml"

    input:
    tuple val(sample), path(matrix, stageAs: 'input/*'), path(raw, stageAs: 'raw/*'), val(digest)
    path orthologues
    val step

    output:
    tuple val(sample), path("${sample}.h5"), optional: true, emit: counts
    path "${sample}.cells.csv.gz", emit: cells
    tuple val(sample), path("${sample}.empty.npz"), optional: true, emit: empty
    path "${sample}.qc.json", emit: summary
    path 'versions.txt', topic: versions

    script:
    def unfiltered = raw ? "--raw ${raw}" : ''
    def species = orthologues ? "--orthologues ${orthologues}" : ''
    """
    # code ${step.code}
    qc.py --sample ${sample} --matrix ${matrix} ${unfiltered} ${species} --digest '${digest}' ${step.args}
    """

    stub:
    """
    touch ${sample}.h5 ${sample}.cells.csv.gz ${sample}.qc.json versions.txt
    """
}
