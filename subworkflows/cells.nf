include { gathered ; marker_table ; optional ; orthologues_of } from '../modules/files'
include { step            } from '../modules/step'
include { QC              } from '../modules/qc'
include { AMBIENT         } from '../modules/ambient'
include { DOUBLETS        } from '../modules/doublets'
include { MERGE           } from '../modules/merge'
include { HARMONY         } from '../modules/harmony'
include { CLUSTER         } from '../modules/cluster'
include { CLUSTER_MARKERS } from '../modules/cluster_markers'
include { LAYOUT          } from '../modules/layout'
include { ANNOTATE        } from '../modules/annotate'
include { INTEGRATION     } from '../modules/integration'
include { MAP_REFERENCE   } from '../modules/map_reference'
include { COHORT          } from '../modules/cohort'

// From barcodes to named cells, and the one file of all of them.
workflow CELLS {
    take:
    matrices // by sample: matrix, unfiltered matrix, checksum
    samples
    clinical
    contrasts
    opts

    main:
    def markers = marker_table(opts.markers)
    def orthologues = orthologues_of(opts.organism)

    // by sample, barcodes become cells
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
        .subscribe { seen -> if (seen == ['judged']) { error("No sample has a usable cell: see ${file(opts.outdir)}/cartox_unfinished/qc") } }

    // by lane, doublets are found
    lanes = samples.splitCsv(header: true)
        .map { row -> tuple(row.sample, row[opts.doublet_group]) }
        .join(usable)
        .map { _sample, lane, h5 -> tuple(lane, h5) }
        .groupTuple()
        .map { lane, h5s -> tuple(lane, h5s.sort { h5 -> h5.name }) }
    DOUBLETS(lanes, optional(opts.doublet_thresholds), step('doublets', opts, ['doublet_method', 'seed']))

    // gathered: one space, clusters, types
    MERGE(
        counts, gathered(QC.out.cells), gathered(DOUBLETS.out.doublets), opts.ambient == 'none' ? [] : gathered(AMBIENT.out.totals), samples,
        step('merge', opts, ['doublet_action', 'n_hvg', 'n_pcs', 'car_features']),
    )
    HARMONY(MERGE.out.pca, MERGE.out.cells, samples, step('harmony', opts, ['integration', 'harmony_by', 'device', 'seed']))
    CLUSTER(MERGE.out.cells, HARMONY.out.embedding, step('cluster', opts, ['resolution', 'device', 'seed']))
    CLUSTER_MARKERS(counts, MERGE.out.cells, MERGE.out.genes, CLUSTER.out.clusters, step('cluster_markers', opts, ['seed']))
    LAYOUT(MERGE.out.cells, MERGE.out.pca, HARMONY.out.embedding, CLUSTER.out.neighbours, step('layout', opts, ['seed']))
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
        counts, MERGE.out.cells, MERGE.out.genes, MERGE.out.pca, HARMONY.out.embedding, LAYOUT.out.layout, ANNOTATE.out.annotation,
        opts.reference ? MAP_REFERENCE.out.cells : [], samples, step('cohort', opts, []),
    )

    labels = gathered(ANNOTATE.out.labels.flatten())
    // by sample: its counts and labels
    labelled = usable.join(ANNOTATE.out.labels.flatten().map { csv -> tuple(csv.baseName, csv) })
    states = ANNOTATE.out.states
    qc = gathered(QC.out.summary)
    tables = QC.out.summary.mix(
        QC.out.cells, AMBIENT.out.summary, DOUBLETS.out.summary, MERGE.out.cells, MERGE.out.summary, HARMONY.out.summary,
        INTEGRATION.out.summary, LAYOUT.out.layout, CLUSTER_MARKERS.out.markers, ANNOTATE.out.annotation, ANNOTATE.out.dotplot,
        ANNOTATE.out.summary, MAP_REFERENCE.out.summary,
    )

    emit:
    counts // of all samples, as one list
    labels
    labelled
    states
    qc
    tables
}
