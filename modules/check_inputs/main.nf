// Checks all that the user gave, and tells every fault at once; writes the sheets as the other steps read them.
process CHECK_INPUTS { // longer than other modules, as it alone takes every file that a user may give
    label 'light'
    container 'cartox/check:0.1.0'
    conda "${moduleDir}/../../containers/conda/check.yml"

    input:
    path sheet, stageAs: 'input/*'
    path clinical, stageAs: 'clinical/*'
    path analytes, stageAs: 'analytes/*'
    path contrasts, stageAs: 'contrasts_given/*'
    path paths
    path matrices, stageAs: 'matrices/?/*'
    path markers, stageAs: 'markers/*'
    path cell_labels, stageAs: 'cell_labels/*'
    path doublet_thresholds, stageAs: 'doublet_thresholds/*'
    path gene_set_files, stageAs: 'gene_sets/?/*'
    path ligrec_file, stageAs: 'ligrec/*'
    path reference, stageAs: 'reference/*'
    path orthologues, stageAs: 'orthologues/*'
    path schemas, stageAs: 'schemas'
    val step

    output:
    path 'samples.csv', optional: true, emit: samples
    path 'clinical.csv', optional: true, emit: clinical
    path 'analytes.csv', optional: true, emit: analytes
    path 'contrasts/*.json', optional: true, emit: contrasts
    path 'digests.csv', optional: true, emit: digests
    path 'checks.json', optional: true, emit: checks
    path 'faults.txt', optional: true, emit: faults
    path 'versions.txt', optional: true, topic: versions

    script:
    def tables = [clinical: clinical, analytes: analytes, contrasts: contrasts, markers: markers, cell_labels: cell_labels, reference: reference,
        doublet_thresholds: doublet_thresholds, gene_set_files: gene_set_files, ligrec_file: ligrec_file, orthologues: orthologues].findAll { _flag, file -> file }.collect { flag, file -> "--${flag} ${file}" }.join(' ')
    // faults are the step's result, for the workflow to tell; any other failure is a failure
    """
    # code ${step.code}
    check_inputs.py --input ${sheet} ${tables} --paths ${paths} --schemas ${schemas} ${step.args} || [ -s faults.txt ]
    """

    stub:
    """
    awk -F, 'NR == 1 { batch = /(^|,)batch(,|\$)/ } { print batch ? \$0 : \$0 "," (NR == 1 ? "batch" : \$1) }' ${sheet} > samples.csv
    cut -d, -f2 ${sheet} | awk 'NR == 1 || !seen[\$0]++' > clinical.csv && echo patient,timepoint,analyte,value,unit,censored > analytes.csv
    cut -d, -f1 ${sheet} | awk '{ print \$0 "," (NR == 1 ? "digest" : "stub") }' > digests.csv
    mkdir contrasts && echo '{"id": "stub"}' > contrasts/stub.json && touch checks.json versions.txt
    """
}
