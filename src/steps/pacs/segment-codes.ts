import { type DicomCode, ownCode, sct } from '../../dicom/dicom-code.ts';
import type { Segment } from '../../dicom/write-segmentation.ts';

/** CID 7150. */
const STRUCTURE = sct('123037004', 'Anatomical Structure');
const ABNORMAL = sct('49755003', 'Morphologically Abnormal Structure');

/** Structures that masks are called by; words of a label that only say which one or which side are not looked at. */
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

/** What a label of a mask is, in the codes of PS3.16: a structure that is known by name, else something abnormal under its own name. */
export function codesOfLabel(label: string): Pick<Segment, 'category' | 'type'> {
  const words = label.toLowerCase().split(/[^a-z]+/);
  const structure = words.map((word) => STRUCTURES[word] ?? STRUCTURES[word.replace(/s$/, '')]).find(Boolean);
  const alone = words.filter((word) => word !== '').length === 1;
  if (structure && alone) return { category: STRUCTURE, type: structure };
  return { category: ABNORMAL, type: labelCode(label) };
}

/** The label itself in our own scheme: lower case, words joined by dashes. */
function labelCode(label: string): DicomCode {
  const value = label
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return ownCode(value || 'region', label || 'Region');
}
