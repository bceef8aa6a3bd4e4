// Writes the ligand–receptor pairs to score: a resource of liana's by name, or the user's table.
process LIGREC_RESOURCE {
    label 'light'
    container 'cartox/ligrec:0.1.0'

    input:
    val step

    output:
    path 'lr_resource.csv', emit: resource
    path 'versions.txt', topic: 'versions'

    script:
    """
    # code ${step.code}
    ligrec_resource.py ${step.args}
    """

    stub:
    """
    touch lr_resource.csv versions.txt
    """
}
