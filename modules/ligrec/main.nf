include { memory_for } from '../resources'

// Scores ligand–receptor pairs between the cell types of each sample.
process LIGREC {
    label 'light'
    memory { memory_for(expression, 1, 3, task.attempt) }
    container 'cartox/counts:0.1.0'
    conda "${moduleDir}/../../containers/conda/counts.yml"

    input:
    path expression, stageAs: 'expression/*'
    path resource
    val step

    output:
    path '*.ligrec.csv.gz', emit: scores
    path 'versions.txt', topic: versions

    script:
    """
    # code ${step.code}
    ligrec.py --expression expression/*.npz --resource ${resource} ${step.args}
    """

    stub:
    """
    touch stub.ligrec.csv.gz versions.txt
    """
}
