include { memory_for } from '../resources'

// Joins the samples: singlets, shared genes, variable genes, principal components.
process MERGE {
    label 'cells'
    memory { memory_for(counts, 2, 5, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path counts, stageAs: 'counts/*'
    path cells, stageAs: 'cells/*'
    path doublets, stageAs: 'doublets/*'
    path totals, stageAs: 'totals/*'
    path samples
    val step

    output:
    path 'cells.parquet', emit: cells
    path 'genes.parquet', emit: genes
    path 'pca.npy', emit: pca
    path 'merge.json', emit: summary
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    merge.py --counts ${counts} --cells ${cells} --doublets ${doublets} --totals ${totals} --samples ${samples} ${step.args}
    """

    stub:
    """
    touch cells.parquet genes.parquet pca.npy merge.json versions.txt
    """
}
