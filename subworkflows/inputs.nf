include { asset ; gene_set_files ; given_pairs ; marker_table ; optional ; orthologues_of } from '../modules/files'
include { found ; located ; sheet_files ; sheet_rows ; staging_table } from '../modules/sheet'
include { step         } from '../modules/step'
include { CHECK_INPUTS } from '../modules/check_inputs'

// All that the user gave, checked: every fault is told at once, before any other task.
workflow INPUTS {
    take:
    opts // the parameters, checked and typed

    main:
    def sheet = file(opts.input, glob: false)
    def listed = sheet_rows(sheet).collectEntries { row -> [row.sample, row] }
    def given = sheet_files(sheet)
    CHECK_INPUTS(
        sheet, optional(opts.clinical), optional(opts.analytes), optional(opts.contrasts),
        channel.of(staging_table(given)).collectFile(name: 'paths.csv'), found(given),
        marker_table(opts.markers), optional(opts.cell_labels), optional(opts.doublet_thresholds),
        gene_set_files(opts.gene_sets), given_pairs(opts.ligrec_resource),
        optional(opts.reference), orthologues_of(opts.organism), asset('schemas'),
        step('check_inputs', opts, [
            'car_features', 'car_negative', 'doublet_group', 'doublet_method', 'gene_sets', 'harmony_by', 'integration',
            'ligrec_resource', 'reference_label', 'serum_covariates',
        ]),
    )
    CHECK_INPUTS.out.faults.subscribe { faults -> error("The inputs have faults:\n\n${faults.text}") }

    samples = CHECK_INPUTS.out.samples.first()
    clinical = CHECK_INPUTS.out.clinical.first()
    analytes = CHECK_INPUTS.out.analytes.first()
    contrasts = CHECK_INPUTS.out.contrasts.flatten()
    checks = CHECK_INPUTS.out.checks
    // by sample: its matrix, the unfiltered one where there is one, and the checksum of both
    matrices = CHECK_INPUTS.out.digests.splitCsv(header: true).map { row ->
        def (matrix, raw) = ['path', 'raw_path'].collect { column -> located(sheet, listed[row.sample][column], column) }
        tuple(row.sample, matrix, raw ?: [], row.digest)
    }

    emit:
    samples
    clinical
    analytes
    contrasts
    checks
    matrices
}
