include { memory_for } from '../resources'

// Joins what was measured of each sample into one table: composition, pathways, ligand–receptor, CAR, QC, programmes.
process FEATURES {
    label 'model'
    memory { memory_for([ligrec, composition], 1, 20, task.attempt) }
    container 'cartox/counts:0.1.0'
    conda "${moduleDir}/../../containers/conda/counts.yml"

    input:
    path pathways
    path ligrec, stageAs: 'ligrec/*'
    path composition, stageAs: 'composition/*'
    path tensor
    path qc, stageAs: 'qc/*'
    path samples
    val step

    output:
    path 'features.parquet', emit: features
    path 'versions.txt', topic: versions

    script:
    def factors = tensor ? "--tensor ${tensor}" : ''
    """
    # code ${step.code}
    shopt -s nullglob
    features.py --samples ${samples} --pathways ${pathways} --composition composition/*.csv \\
        --ligrec ligrec/*.csv.gz --qc qc/*.json ${factors} ${step.args}
    """

    stub:
    """
    touch features.parquet versions.txt
    """
}
