include { memory_for } from '../resources'

// Finds each cell's neighbours, and the clusters.
process CLUSTER {
    label 'cells'
    memory { memory_for(harmony, 1, 40, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path cells
    path harmony
    val step

    output:
    path 'clusters.parquet', emit: clusters
    path 'neighbours.npz', emit: neighbours
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    cluster.py --cells ${cells} --harmony ${harmony} ${step.args}
    """

    stub:
    """
    touch clusters.parquet neighbours.npz versions.txt
    """
}
