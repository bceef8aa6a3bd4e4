include { memory_for } from '../resources'

// Draws the UMAPs before and after integration, beside the naming of cells.
process LAYOUT {
    label 'cells'
    memory { memory_for([pca, neighbours], 1, 25, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path cells
    path pca
    path harmony
    path neighbours
    val step

    output:
    path 'layout.parquet', emit: layout
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    layout.py --cells ${cells} --pca ${pca} --harmony ${harmony} --neighbours ${neighbours} ${step.args}
    """

    stub:
    """
    touch layout.parquet versions.txt
    """
}
