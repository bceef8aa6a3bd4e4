include { memory_for } from '../resources'

// Writes all kept cells, with counts, embeddings and labels, as one file for scanpy and cellxgene.
process COHORT {
    label 'cells'
    memory { memory_for(counts, 2, 5, task.attempt) }
    container 'cartox/cells:0.1.0'
    conda "${moduleDir}/../../containers/conda/cells.yml"

    input:
    path counts, stageAs: 'counts/*'
    path cells
    path genes
    path pca
    path harmony
    path layout
    path annotation
    path reference
    path samples
    val step

    output:
    path 'cohort.h5ad', emit: cohort
    path 'versions.txt', topic: versions

    script:
    def mapped = reference ? "--reference ${reference}" : ''
    """
    # code ${step.code}
    cohort.py --counts ${counts} --cells ${cells} --genes ${genes} --pca ${pca} --harmony ${harmony} \\
        --layout ${layout} --annotation ${annotation} ${mapped} --samples ${samples} ${step.args}
    """

    stub:
    """
    touch cohort.h5ad versions.txt
    """
}
