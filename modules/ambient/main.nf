include { memory_for } from '../resources'

// Takes ambient RNA out of one sample's counts, where its empty droplets tell how much there is.
process AMBIENT {
    tag "${sample}"
    label 'model'
    memory { memory_for(counts, 1, 60, task.attempt) }
    container 'cartox/ambient:0.1.0'
    conda "${moduleDir}/../../containers/conda/ambient.yml"

    input:
    tuple val(sample), path(counts, stageAs: 'counts/*'), path(empty, stageAs: 'empty/*')
    val step

    output:
    tuple val(sample), path("${sample}.h5"), emit: counts
    path "${sample}.totals.csv.gz", emit: totals
    path "${sample}.ambient.json", emit: summary
    path 'versions.txt', topic: versions

    script:
    def droplets = empty ? "--empty ${empty}" : ''
    """
    # code ${step.code}
    ambient.py --sample ${sample} --counts ${counts} ${droplets} ${step.args}
    """

    stub:
    """
    touch ${sample}.h5 ${sample}.totals.csv.gz ${sample}.ambient.json versions.txt
    """
}
