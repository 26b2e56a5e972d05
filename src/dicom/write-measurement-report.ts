import { codeItem, cutText, type DicomCode, dcm, sct } from './dicom-code.ts';
import type { Measurement, MeasurementGroup, MeasurementReport } from './measurement-report.ts';
import { bySeries, type InstanceReference, resultHeader, SERIES_NUMBERS } from './result-object.ts';
import {
  type ContentItem,
  code,
  container,
  image,
  num,
  rootContainer,
  scoord,
  text,
  uidref,
} from './sr/content-item.ts';
import { deviceObserver, english } from './sr/observer-context.ts';
import type { NaturalizedDataset } from './write-part10.ts';
import { writePart10 } from './write-part10.ts';

export const COMPREHENSIVE_3D_SR = '1.2.840.10008.5.1.4.1.1.88.34';

/**
 * A Comprehensive 3D SR with TID 1500 "Measurement Report" as IHE AIR wants it: the model is the observer, each finding is a group
 * with a tracking identifier of its own, nothing is verified by anybody, and the evidence lists every instance referred to.
 */
export function writeMeasurementReport(report: MeasurementReport): Buffer {
  const { context } = report;
  return writePart10({
    ...resultHeader(context, {
      sopClassUid: COMPREHENSIVE_3D_SR,
      sopInstanceUid: report.sopInstanceUid,
      seriesInstanceUid: report.seriesInstanceUid,
      modality: 'SR',
      seriesNumber: SERIES_NUMBERS.sr,
      seriesDescription: report.title,
      instanceNumber: report.instanceNumber,
    }),
    ReferencedPerformedProcedureStepSequence: [],
    CompletionFlag: report.completion,
    VerificationFlag: 'UNVERIFIED',
    PreliminaryFlag: report.preliminary ? 'PRELIMINARY' : 'FINAL',
    PerformedProcedureCodeSequence: [],
    ...requestOf(report),
    CurrentRequestedProcedureEvidenceSequence: evidence(report, [
      ...report.images,
      ...report.furtherEvidence,
    ]),
    ...(report.predecessors.length > 0
      ? { PredecessorDocumentsSequence: evidence(report, report.predecessors) }
      : {}),
    ...rootContainer(dcm('126000', 'Imaging Measurement Report'), contentOf(report), '1500'),
  });
}

function contentOf(report: MeasurementReport): ContentItem[] {
  return [
    english('with country'),
    ...deviceObserver(report.context.algorithm),
    code('HAS CONCEPT MOD', dcm('121058', 'Procedure reported'), report.procedureReported),
    container(dcm('111028', 'Image Library'), [
      container(
        dcm('126200', 'Image Library Group'),
        report.images.map((one) => image('CONTAINS', null, one)),
      ),
    ]),
    container(
      dcm('126010', 'Imaging Measurements'),
      report.groups.map((group) => groupOf(group, report)),
    ),
  ];
}

/** TID 1411 with a segment, TID 1410 with a region on an image, TID 1501 with neither. */
function groupOf(group: MeasurementGroup, report: MeasurementReport): ContentItem {
  const planar = group.regions.length === 1;
  return container(
    dcm('125007', 'Measurement Group'),
    [
      text('HAS OBS CONTEXT', dcm('112039', 'Tracking Identifier'), group.trackingIdentifier),
      uidref('HAS OBS CONTEXT', dcm('112040', 'Tracking Unique Identifier'), group.trackingUid),
      code('CONTAINS', dcm('121071', 'Finding'), group.finding),
      ...siteOf(group),
      ...algorithmOf(group, report),
      ...group.regions.map((region) =>
        scoord(
          dcm('111030', 'Image Region'),
          { type: region.type, points: region.points },
          image('SELECTED FROM', null, region.image, region.frame === null ? {} : { frames: [region.frame] }),
        ),
      ),
      ...segmentOf(group),
      ...group.measurements.map(measurementOf),
      ...group.evaluations.map(({ name, value }) => code('CONTAINS', name, value)),
    ],
    group.segment ? '1411' : planar ? '1410' : '1501',
  );
}

function siteOf({ site }: MeasurementGroup): ContentItem[] {
  if (!site) return [];
  const side = site.laterality
    ? [code('HAS CONCEPT MOD', sct('272741003', 'Laterality'), site.laterality)]
    : [];
  return [code('HAS CONCEPT MOD', sct('363698007', 'Finding Site'), site.code, side)];
}

/** TID 4019. */
function algorithmOf(group: MeasurementGroup, report: MeasurementReport): ContentItem[] {
  const { algorithm } = report.context;
  return [
    text('HAS CONCEPT MOD', dcm('111001', 'Algorithm Name'), algorithm.model),
    text('HAS CONCEPT MOD', dcm('111003', 'Algorithm Version'), algorithm.version),
    ...group.parameters.map((parameter) =>
      text('HAS CONCEPT MOD', dcm('111002', 'Algorithm Parameters'), parameter),
    ),
  ];
}

function segmentOf({ segment }: MeasurementGroup): ContentItem[] {
  if (!segment) return [];
  return [
    image('CONTAINS', dcm('121191', 'Referenced Segment'), segment.reference, { segment: segment.number }),
    uidref('CONTAINS', dcm('121232', 'Source series for segmentation'), segment.sourceSeriesUid),
  ];
}

function measurementOf({ name, value, unit, abnormal }: Measurement): ContentItem {
  const normality = code('HAS PROPERTIES', dcm('121402', 'Normality'), ABNORMAL);
  return num(name, value, unit, abnormal ? [normality] : []);
}

const ABNORMAL: DicomCode = sct('263654008', 'Abnormal');

function evidence(
  { context }: MeasurementReport,
  references: readonly InstanceReference[],
): NaturalizedDataset[] {
  return evidenceOf(String(studyOf(context.source)), references);
}

/** Hierarchical SOP Instance Reference (PS3.3 C.17.2.1). */
export function evidenceOf(
  studyInstanceUid: string,
  references: readonly InstanceReference[],
): NaturalizedDataset[] {
  return [
    {
      StudyInstanceUID: studyInstanceUid,
      ReferencedSeriesSequence: bySeries(references).map(({ SeriesInstanceUID, items }) => ({
        SeriesInstanceUID,
        ReferencedSOPSequence: items,
      })),
    },
  ];
}

const studyOf = (source: MeasurementReport['context']['source']) => source['0020000D']?.Value?.[0] ?? '';

/** Referenced Request Sequence (0040,A370): needed where the report answers an order. */
function requestOf({ request, context, procedureReported }: MeasurementReport): NaturalizedDataset {
  if (!request) return {};
  return {
    ReferencedRequestSequence: [
      {
        StudyInstanceUID: String(studyOf(context.source)),
        ReferencedStudySequence: [],
        AccessionNumber: cutText(request.accessionNumber, 16),
        PlacerOrderNumberImagingServiceRequest: cutText(request.placerOrderNumber, 64),
        FillerOrderNumberImagingServiceRequest: cutText(request.fillerOrderNumber, 64),
        RequestedProcedureID: '',
        RequestedProcedureDescription: cutText(request.procedureDescription, 64),
        RequestedProcedureCodeSequence: [codeItem(procedureReported)],
      },
    ],
  };
}
