#!/usr/bin/env nextflow

include { help_asked } from './modules/help'
include { checked_params ; run_records } from './modules/params'
include { asset ; gathered ; marker_table } from './modules/files'
include { step } from './modules/step'
include { finish } from './modules/published'
include { link_old_work_folders ; unlink } from './modules/moved'
include { INPUTS   } from './subworkflows/inputs'
include { CELLS    } from './subworkflows/cells'
include { SIGNALS  } from './subworkflows/signals'
include { PATIENTS } from './subworkflows/patients'
include { REPORT   } from './modules/report'

workflow {
    main:
    def schema = file("${projectDir}/nextflow_schema.json")
    def help = help_asked(params, schema, workflow.manifest.version)
    if (help) {
        println(help)
        return
    }
    def opts = checked_params(params, schema)
    def outdir = file(opts.outdir)
    def unfinished = outdir.resolve('cartox_unfinished')
    def links = link_old_work_folders(workflow)
    unfinished.deleteDir()
    workflow.onComplete = {
        unlink(links)
        def fault = finish(workflow, outdir, unfinished)
        if (fault) { error(fault) }
    }

    // what the user gave, checked as a whole before anything else runs
    INPUTS(opts)

    // by sample, then gathered, then by sample again: from barcodes to named cells, and what is measured of each sample
    CELLS(INPUTS.out.matrices, INPUTS.out.samples, INPUTS.out.clinical, INPUTS.out.contrasts, opts)
    SIGNALS(
        CELLS.out.labelled, CELLS.out.counts, CELLS.out.labels, CELLS.out.states, CELLS.out.qc,
        INPUTS.out.samples, INPUTS.out.clinical, INPUTS.out.contrasts, opts,
    )

    // the patient is the unit: contrast by contrast, and serum
    PATIENTS(
        INPUTS.out.contrasts, SIGNALS.out.features, SIGNALS.out.scores, SIGNALS.out.pseudobulk,
        INPUTS.out.samples, INPUTS.out.clinical, INPUTS.out.analytes, opts,
    )

    // the tables people take away, and the page they read
    def by_name = { csv -> csv.name }
    PATIENTS.out.associations.collectFile(name: 'associations.csv', keepHeader: true, sort: by_name, storeDir: unfinished)
    PATIENTS.out.calibration.collectFile(name: 'calibration.csv', keepHeader: true, sort: by_name, storeDir: unfinished)
    versions = channel.topic('versions').splitText().unique().collectFile(name: 'versions.csv', sort: true, storeDir: unfinished.resolve('run'))
    records = channel.fromList(run_records(opts, workflow)).collectFile(storeDir: unfinished.resolve('run')) { name, text -> [name, text] }
    tables = INPUTS.out.samples.mix(
        INPUTS.out.clinical, INPUTS.out.analytes, INPUTS.out.checks, CELLS.out.tables, SIGNALS.out.tables, PATIENTS.out.tables, versions, records,
    )
    REPORT(
        gathered(tables), marker_table(opts.markers), asset('multiqc/multiqc_config.yml'), asset('multiqc/cartox.css'),
        step('report', opts, []),
    )
}
