import type { DicomJson } from '../../dicom/study-source.ts';

/** What is read of an instance's header here: patient and study, then class, series, size and place. */
const TAGS = [
  '00080016 00080018 00080020 00080030 00080050 00080051 00080090 00080201 00081030',
  '00100010 00100020 00100021 00100030 00100040 00101010 00120062 00120063',
  '00180050 0020000D 0020000E 00200010 00200020 00200032 00200037 00200052',
  '00280008 00280010 00280011 00280030',
  // Where the frames of an enhanced object lie.
  '52009229 52009230',
].flatMap((line) => line.split(' '));

/** Headers of 3,000 slices are 30 MB; these parts of them are 3. */
export function trimMetadata(instance: DicomJson): DicomJson {
  const kept: Record<string, DicomJson[string]> = {};
  for (const tag of TAGS) {
    const element = instance[tag];
    if (element) kept[tag] = element;
  }
  return kept;
}
