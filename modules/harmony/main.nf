include { memory_for } from '../resources'

// Brings the batches together in the space of principal components.
process HARMONY {
    label 'cells'
    memory { memory_for(pca, 1, 20, task.attempt) }
    container 'cartox/harmony:0.1.0'
    conda "${moduleDir}/../../containers/conda/harmony.yml"

    input:
    path pca
    path cells
    path samples
    val step

    output:
    path 'harmony.npy', emit: embedding
    path 'harmony.json', emit: summary
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    harmony.py --pca ${pca} --cells ${cells} --samples ${samples} ${step.args}
    """

    stub:
    """
    touch harmony.npy harmony.json versions.txt
    """
}
