// Writes the ligand–receptor pairs to score: a resource of liana's by name, or the user's table.
process LIGREC_RESOURCE {
    label 'light'
    container 'cartox/ligrec:0.1.0'
    conda "${moduleDir}/../../containers/conda/ligrec.yml"

    input:
    path table, stageAs: 'given/*'
    val step

    output:
    path 'lr_resource.csv', emit: resource
    path 'versions.txt', topic: versions

    script:
    def wanted = table ? "--ligrec_resource ${table}" : step.args
    """
    # code ${step.code}
    ligrec_resource.py ${wanted}
    """

    stub:
    """
    touch lr_resource.csv versions.txt
    """
}
