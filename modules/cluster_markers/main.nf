include { memory_for } from '../resources'

// Finds the genes that mark each cluster, whatever the marker table names: effect sizes within samples.
process CLUSTER_MARKERS {
    label 'cells'
    memory { memory_for(clusters, 2, 10, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path counts, stageAs: 'counts/*'
    path cells
    path genes
    path clusters
    val step

    output:
    path 'cluster_markers.csv', emit: markers
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    cluster_markers.py --counts counts/*.h5 --cells ${cells} --genes ${genes} --clusters ${clusters} ${step.args}
    """

    stub:
    """
    touch cluster_markers.csv versions.txt
    """
}
