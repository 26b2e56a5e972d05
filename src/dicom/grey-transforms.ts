import type { DicomDataset } from './dicom-dataset.ts';
import { type LookupTable, LUT_TAGS, readLookupTable } from './lookup-table.ts';

/** Stored values → values of the modality: Hounsfield units for CT (PS3.3 C.11.1). */
export type ModalityTransform =
  | { readonly kind: 'rescale'; readonly slope: number; readonly intercept: number }
  | { readonly kind: 'lut'; readonly table: LookupTable };

/** Values of the modality → what is shown (PS3.3 C.11.2). */
export type VoiTransform =
  | {
      readonly kind: 'window';
      readonly centre: number;
      readonly width: number;
      readonly shape: 'LINEAR' | 'LINEAR_EXACT' | 'SIGMOID';
    }
  | { readonly kind: 'lut'; readonly table: LookupTable };

/**
 * The modality transformation of a data set, or of a frame's Pixel Value Transformation item. A Modality LUT Sequence comes before slope and
 * intercept, which may not stand beside it. A slope of 0 would make every pixel the same and is taken for 1. Throws `dicom.malformed`.
 */
export function modalityTransform(dataset: DicomDataset): ModalityTransform {
  const [item] = dataset.items(MODALITY_LUT_SEQUENCE);
  const table = item ? readLookupTable(item, LUT_TAGS, isSigned(dataset)) : null;
  if (table) return { kind: 'lut', table };
  const slope = dataset.number(RESCALE_SLOPE) || 1;
  return { kind: 'rescale', slope, intercept: dataset.number(RESCALE_INTERCEPT) ?? 0 };
}

/** All VOI transformations in the order of the file: windows first, then tables. Windows without a width are left out. */
export function voiTransforms(dataset: DicomDataset): VoiTransform[] {
  const centres = dataset.numbers(WINDOW_CENTRE);
  const widths = dataset.numbers(WINDOW_WIDTH);
  const stated = dataset.string(VOI_LUT_FUNCTION);
  const shape = stated === 'SIGMOID' || stated === 'LINEAR_EXACT' ? stated : 'LINEAR';
  const windows = centres.flatMap((centre, at): VoiTransform[] => {
    const width = widths[at];
    const whole = Number.isFinite(centre) && width !== undefined && width > 0;
    return whole ? [{ kind: 'window', centre, width, shape }] : [];
  });
  const tables = dataset.items(VOI_LUT_SEQUENCE).flatMap((item): VoiTransform[] => {
    // The input is what the modality transformation gives, which is signed as soon as it can be negative (C.11.2.1.1); a table gives none such.
    const tabled = dataset.items(MODALITY_LUT_SEQUENCE).length > 0;
    const signed = !tabled && (isSigned(dataset) || (dataset.number(RESCALE_INTERCEPT) ?? 0) < 0);
    const table = readLookupTable(item, LUT_TAGS, signed);
    return table ? [{ kind: 'lut', table }] : [];
  });
  return [...windows, ...tables];
}

const RESCALE_INTERCEPT = 0x00281052;
const RESCALE_SLOPE = 0x00281053;
const MODALITY_LUT_SEQUENCE = 0x00283000;
const VOI_LUT_SEQUENCE = 0x00283010;
const WINDOW_CENTRE = 0x00281050;
const WINDOW_WIDTH = 0x00281051;
const VOI_LUT_FUNCTION = 0x00281056;
const PIXEL_REPRESENTATION = 0x00280103;

const isSigned = (dataset: DicomDataset): boolean => dataset.number(PIXEL_REPRESENTATION) === 1;
