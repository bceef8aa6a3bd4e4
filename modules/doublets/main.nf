include { memory_for } from '../resources'

// Scores the doublets of the samples that shared a lane.
process DOUBLETS {
    tag "${group}"
    label 'model'
    memory { memory_for(counts, 1, 60, task.attempt) }
    container 'cartox/doublets:0.1.0'
    conda "${moduleDir}/../../containers/conda/doublets.yml"

    input:
    tuple val(group), path(counts, stageAs: 'counts/*')
    path thresholds, stageAs: 'thresholds/*'
    val step

    output:
    path "${group}.doublets.csv.gz", emit: doublets
    path "${group}.doublets.json", emit: summary
    path 'versions.txt', topic: versions

    script:
    def table = thresholds ? "--doublet_thresholds ${thresholds}" : ''
    """
    # code ${step.code}
    doublets.py --group ${group} --counts ${counts} ${table} ${step.args}
    """

    stub:
    """
    touch ${group}.doublets.csv.gz ${group}.doublets.json versions.txt
    """
}
