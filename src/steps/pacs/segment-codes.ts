import { type DicomCode, ownCode, sct } from '../../dicom/dicom-code.ts';
import type { Segment } from '../../dicom/write-segmentation.ts';

/** CID 7150. */
const STRUCTURE = sct('123037004', 'Anatomical Structure');
const ABNORMAL = sct('49755003', 'Morphologically Abnormal Structure');

/** Structures that masks are called by. */
const STRUCTURES: Readonly<Record<string, DicomCode>> = {
  lung: sct('39607008', 'Lung'),
  liver: sct('10200004', 'Liver'),
  heart: sct('80891009', 'Heart'),
  kidney: sct('64033007', 'Kidney'),
  spleen: sct('78961009', 'Spleen'),
  brain: sct('12738006', 'Brain'),
  pancreas: sct('15776009', 'Pancreas'),
  bladder: sct('89837001', 'Bladder'),
  aorta: sct('15825003', 'Aorta'),
  prostate: sct('41216001', 'Prostate'),
};

/** CID 244. */
const SIDES: Readonly<Record<string, DicomCode>> = {
  left: sct('7771000', 'Left'),
  right: sct('24028007', 'Right'),
};

/** What a label of a mask is, in the codes of PS3.16: a structure that is known by name, with its side, else something abnormal under its own name. */
export function codesOfLabel(label: string): Pick<Segment, 'category' | 'type' | 'side'> {
  const words = label
    .toLowerCase()
    .split(/[^a-z]+/)
    .filter((word) => word !== '');
  const side = words.map((word) => SIDES[word]).find(Boolean) ?? null;
  const named = words.filter((word) => !(word in SIDES));
  const structure = STRUCTURES[named[0] ?? ''] ?? STRUCTURES[named[0]?.replace(/s$/, '') ?? ''];
  if (structure && named.length === 1) return { category: STRUCTURE, type: structure, side };
  return { category: ABNORMAL, type: labelCode(label), side: null };
}

/** The label itself in our own scheme: lower case, words joined by dashes. */
function labelCode(label: string): DicomCode {
  const value = label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return ownCode(value || 'region', label || 'Region');
}
