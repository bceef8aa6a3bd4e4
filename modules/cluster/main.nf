include { memory_for } from '../resources'

// Finds neighbours and clusters, and draws the UMAPs before and after integration.
process CLUSTER {
    label 'cells'
    memory { memory_for(pca, 2, 20, task.attempt) }
    container 'cartox/cells:0.1.0'

    input:
    path cells
    path pca
    path harmony
    val step

    output:
    path 'clusters.parquet', emit: clusters
    path 'cluster.json', emit: summary
    path 'versions.txt', topic: 'versions'

    script:
    """
    # code ${step.code}
    cluster.py --cells ${cells} --pca ${pca} --harmony ${harmony} ${step.args}
    """

    stub:
    """
    touch clusters.parquet cluster.json versions.txt
    """
}
