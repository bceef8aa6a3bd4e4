include { memory_for } from '../resources'

// Takes ambient RNA out of one sample's counts, where its unfiltered matrix tells how much there is.
process AMBIENT {
    tag "${sample}"
    label 'model'
    memory { memory_for([counts, raw], 1, 60, task.attempt) }
    container 'cartox/ambient:0.1.0'

    input:
    tuple val(sample), path(counts, stageAs: 'counts/*'), path(raw, stageAs: 'raw/*')
    val step

    output:
    tuple val(sample), path("${sample}.h5"), emit: counts
    path "${sample}.ambient.json", emit: summary
    path 'versions.txt', topic: 'versions'

    script:
    def unfiltered = raw ? "--raw ${raw}" : ''
    """
    # code ${step.code}
    ambient.py --sample ${sample} --counts ${counts} ${unfiltered} ${step.args}
    """

    stub:
    """
    touch ${sample}.h5 ${sample}.ambient.json versions.txt
    """
}
