#!/usr/bin/env nextflow

include { help_asked      } from './modules/help'
include { checked_params ; run_records        } from './modules/params'
include { found ; located ; sheet_files ; sheet_rows ; staging_table } from './modules/sheet'
include { step            } from './modules/step'
include { finish          } from './modules/published'
include { link_old_work_folders ; unlink      } from './modules/moved'
include { CHECK_INPUTS    } from './modules/check_inputs'
include { QC              } from './modules/qc'
include { AMBIENT         } from './modules/ambient'
include { DOUBLETS        } from './modules/doublets'
include { MERGE           } from './modules/merge'
include { HARMONY         } from './modules/harmony'
include { CLUSTER         } from './modules/cluster'
include { LAYOUT          } from './modules/layout'
include { ANNOTATE        } from './modules/annotate'
include { INTEGRATION     } from './modules/integration'
include { MAP_REFERENCE   } from './modules/map_reference'
include { COHORT          } from './modules/cohort'
include { PSEUDOBULK      } from './modules/pseudobulk'
include { LIGREC_RESOURCE } from './modules/ligrec_resource'
include { LIGREC          } from './modules/ligrec'
include { LIGREC_RANK     } from './modules/ligrec_rank'
include { PATHWAYS        } from './modules/pathways'
include { TENSOR          } from './modules/tensor'
include { FEATURES        } from './modules/features'
include { ASSOCIATE       } from './modules/associate'
include { CORRELATE       } from './modules/correlate'
include { REPORT          } from './modules/report'

// All files of a channel as one list, by name: order of arrival changes no hash and no result.
def gathered(files) {
    return files.toSortedList { a, b -> a.name <=> b.name }
}

def optional(path) {
    return path ? file(path, glob: false) : []
}

// The files of the gene sets asked for: those that ship with cartox by name, others by path. CHECK_INPUTS tells
// which are not there.
def gene_set_files(names) {
    return names.tokenize(',').collect { name ->
        def shipped = name.trim() ==~ /[a-z]+/ ? files("${projectDir}/assets/gene_sets/${name.trim()}*.{gmt,tsv,tsv.gz}") : []
        shipped ? shipped[0] : file(name.trim(), glob: false)
    }.findAll { path -> path.isFile() }
}

// The user's table of ligand-receptor pairs, or nothing where a resource of liana's is named.
def given_pairs(name) {
    def path = name ==~ /.*[.\/].*/ ? file(name, glob: false) : null
    return path && path.isFile() ? path : []
}

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
    def assets = file("${projectDir}/assets")
    def sheet = file(opts.input, glob: false)
    def listed = sheet_rows(sheet).collectEntries { row -> [row.sample, row] }
    def given = sheet_files(sheet)
    def gene_sets = gene_set_files(opts.gene_sets)
    def orthologues = opts.organism == 'human' ? [] : assets.resolve("orthologues/${opts.organism}.tsv.gz")
    def pairs = given_pairs(opts.ligrec_resource)

    // every fault of every input is told at once, before any other task
    CHECK_INPUTS(
        sheet, optional(opts.clinical), optional(opts.analytes), optional(opts.contrasts),
        channel.of(staging_table(given)).collectFile(name: 'paths.csv'),
        found(given),
        optional(opts.markers), optional(opts.cell_labels), optional(opts.doublet_thresholds), gene_sets, pairs,
        optional(opts.reference), orthologues, assets.resolve('schemas'),
        step('check_inputs', opts, [
            'car_features', 'car_negative', 'doublet_group', 'doublet_method', 'gene_sets', 'harmony_by', 'integration', 'ligrec_resource',
            'reference_label', 'serum_covariates',
        ]),
    )
    CHECK_INPUTS.out.faults.subscribe { faults -> error("The inputs have faults:\n\n${faults.text}") }
    samples = CHECK_INPUTS.out.samples.first()
    clinical = CHECK_INPUTS.out.clinical.first()
    analytes = CHECK_INPUTS.out.analytes.first()
    contrasts = CHECK_INPUTS.out.contrasts.flatten()
    rows = samples.splitCsv(header: true)

    // by sample, barcodes become cells; by lane, doublets are found
    matrices = CHECK_INPUTS.out.digests.splitCsv(header: true).map { row ->
        def (matrix, raw) = ['path', 'raw_path'].collect { column -> located(sheet, listed[row.sample][column], column) }
        tuple(row.sample, matrix, raw ?: [], row.digest)
    }
    QC(matrices, orthologues, step('qc', opts, ['qc_mode', 'nmads', 'min_genes', 'min_counts', 'max_mito']))
    AMBIENT(
        opts.ambient == 'none' ? channel.empty() : QC.out.counts.join(QC.out.empty, remainder: true)
            .filter { _sample, h5, _empty -> h5 }.map { sample, h5, empty -> tuple(sample, h5, empty ?: []) },
        step('ambient', opts, ['ambient', 'seed']),
    )
    usable = opts.ambient == 'none' ? QC.out.counts : AMBIENT.out.counts
    counts = gathered(usable.map { _sample, h5 -> h5 }).filter { h5s -> h5s }
    // samples were judged and none was kept; where the inputs have faults, none was judged
    QC.out.summary.map { _json -> 'judged' }.mix(QC.out.counts.map { _sample, _h5 -> 'kept' }).unique().toList()
        .subscribe { seen -> if (seen == ['judged']) { error("No sample has a usable cell: see ${unfinished}/qc") } }
    lanes = rows
        .map { row -> tuple(row.sample, row[opts.doublet_group]) }
        .join(usable)
        .map { _sample, lane, h5 -> tuple(lane, h5) }
        .groupTuple()
        .map { lane, h5s -> tuple(lane, h5s.sort { h5 -> h5.name }) }
    DOUBLETS(lanes, optional(opts.doublet_thresholds), step('doublets', opts, ['doublet_method', 'seed']))

    // gathered: one space, clusters, types, and the one file of all cells
    MERGE(
        counts, gathered(QC.out.cells), gathered(DOUBLETS.out.doublets), opts.ambient == 'none' ? [] : gathered(AMBIENT.out.totals), samples,
        step('merge', opts, ['doublet_action', 'n_hvg', 'n_pcs', 'car_features']),
    )
    HARMONY(MERGE.out.pca, MERGE.out.cells, samples, step('harmony', opts, ['integration', 'harmony_by', 'device', 'seed']))
    CLUSTER(MERGE.out.cells, HARMONY.out.embedding, step('cluster', opts, ['resolution', 'device', 'seed']))
    LAYOUT(MERGE.out.cells, MERGE.out.pca, HARMONY.out.embedding, CLUSTER.out.neighbours, step('layout', opts, ['seed']))
    markers = opts.markers ? file(opts.markers, glob: false) : assets.resolve('markers/blood_cart.tsv')
    ANNOTATE(
        counts, MERGE.out.cells, CLUSTER.out.clusters, CLUSTER.out.neighbours, samples, HARMONY.out.embedding,
        markers, optional(opts.cell_labels), step('annotate', opts, ['car_features', 'car_min_umi', 'car_negative', 'seed']),
    )
    INTEGRATION(
        MERGE.out.cells, MERGE.out.pca, HARMONY.out.embedding, ANNOTATE.out.annotation, samples, clinical, gathered(contrasts),
        step('integration', opts, ['integration', 'harmony_by', 'seed']),
    )
    MAP_REFERENCE(
        opts.reference ? counts : channel.empty(), MERGE.out.cells, MERGE.out.genes, ANNOTATE.out.annotation,
        optional(opts.reference), markers, orthologues, step('map_reference', opts, ['reference_label', 'n_pcs', 'seed']),
    )
    COHORT(
        counts, MERGE.out.cells, MERGE.out.genes, MERGE.out.pca, HARMONY.out.embedding,
        LAYOUT.out.layout, ANNOTATE.out.annotation,
        opts.reference ? MAP_REFERENCE.out.cells : [], samples, step('cohort', opts, []),
    )

    // by sample again, with its labels; then the small tables of all samples
    labelled = usable.join(ANNOTATE.out.labels.flatten().map { labels -> tuple(labels.baseName, labels) })
    PSEUDOBULK(labelled, step('pseudobulk', opts, []))
    LIGREC_RESOURCE(pairs, samples.map { _checked -> step('ligrec_resource', opts, ['ligrec_resource']) })
    LIGREC(gathered(PSEUDOBULK.out.expression), LIGREC_RESOURCE.out.resource, step('ligrec', opts, ['car_features']))
    pairs_scored = gathered(LIGREC.out.scores.flatten())
    LIGREC_RANK(
        counts, gathered(ANNOTATE.out.labels.flatten()), samples, LIGREC_RESOURCE.out.resource,
        step('ligrec_rank', opts, ['car_features', 'seed']),
    )
    PATHWAYS(
        gathered(PSEUDOBULK.out.counts), samples, clinical, gathered(contrasts), gene_sets,
        step('pathways', opts, ['min_cells', 'car_features']),
    )
    TENSOR(
        opts.tensor_rank ? pairs_scored : channel.empty(), samples,
        step('tensor', opts, ['tensor_rank', 'tensor_seeds', 'seed']),
    )
    FEATURES(
        PATHWAYS.out.scores, pairs_scored, gathered(PSEUDOBULK.out.composition.mix(ANNOTATE.out.states)),
        opts.tensor_rank ? TENSOR.out.factors : [], gathered(QC.out.summary), samples, step('features', opts, ['car_features']),
    )

    // the patient is the unit: contrast by contrast, and serum
    ASSOCIATE(
        contrasts, FEATURES.out.features, PATHWAYS.out.scores, PATHWAYS.out.pseudobulk, samples, clinical, analytes,
        step('associate', opts, ['n_permutations', 'fdr', 'min_cells', 'car_features', 'seed']),
    )
    asked = opts.analytes ? analytes : channel.empty()
    CORRELATE(
        FEATURES.out.features, asked, clinical, gathered(contrasts),
        step('correlate', opts, ['n_permutations', 'seed', 'serum_covariates']),
    )

    // the tables people take away, and the page they read
    ASSOCIATE.out.associations.collectFile(name: 'associations.csv', keepHeader: true, sort: { csv -> csv.name }, storeDir: unfinished)
    ASSOCIATE.out.calibration.collectFile(name: 'calibration.csv', keepHeader: true, sort: { csv -> csv.name }, storeDir: unfinished)
    versions = channel.topic('versions').splitText().unique().collectFile(name: 'versions.csv', sort: true, storeDir: unfinished.resolve('run'))
    records = channel.fromList(run_records(opts, workflow)).collectFile(storeDir: unfinished.resolve('run')) { name, text -> [name, text] }
    tables = samples.mix(
        clinical, analytes, CHECK_INPUTS.out.checks, QC.out.summary, QC.out.cells, AMBIENT.out.summary, DOUBLETS.out.summary,
        MERGE.out.cells, MERGE.out.summary, HARMONY.out.summary, INTEGRATION.out.summary, LAYOUT.out.layout, ANNOTATE.out.annotation,
        TENSOR.out.factors, TENSOR.out.loadings, TENSOR.out.summary, MAP_REFERENCE.out.summary,
        ANNOTATE.out.dotplot, ANNOTATE.out.summary, LIGREC_RANK.out.ranks.flatten(), FEATURES.out.features, ASSOCIATE.out.associations,
        ASSOCIATE.out.calibration, ASSOCIATE.out.values, ASSOCIATE.out.summary, CORRELATE.out.correlations, versions, records,
    )
    REPORT(
        gathered(tables), markers, assets.resolve('multiqc/multiqc_config.yml'), assets.resolve('multiqc/cartox.css'),
        step('report', opts, []),
    )
}
