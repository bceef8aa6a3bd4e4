include { memory_for } from '../resources'

// Finds communication programmes: factors of all samples' ligand–receptor scores, stratum by stratum.
process TENSOR {
    label 'model'
    memory { memory_for(ligrec, 3, 20, task.attempt) }
    container 'cartox/tensor:0.1.0'
    conda "${moduleDir}/../../containers/conda/tensor.yml"

    input:
    path ligrec, stageAs: 'ligrec/*'
    path samples
    val step

    output:
    path 'tensor.csv', emit: factors
    path 'tensor_loadings.csv', emit: loadings
    path 'tensor.json', emit: summary
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    tensor.py --samples ${samples} --ligrec ligrec/*.ligrec.csv.gz ${step.args}
    """

    stub:
    """
    touch tensor.csv tensor_loadings.csv tensor.json versions.txt
    """
}
