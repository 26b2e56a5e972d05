import type { DicomDataset } from '../dicom-dataset.ts';
import { isPlainWord, wordsOf } from './clean-text.ts';

/** Shorter ones are met by chance in any technical text. */
const WORD_LENGTH_MIN = 4;

/**
 * Words that identify somebody, in capitals: of every person's name in the file, and of the numbers of patient, order and study. Devices and people
 * repeat them where no table looks for them. Words of the field (`CHEST`, as phantoms are called) are none.
 */
export function identifyingWords(dataset: DicomDataset): ReadonlySet<string> {
  const words = new Set<string>();
  collect(dataset, words);
  return words;
}

/** Does the text hold one of them? */
export function repeats(text: string, words: ReadonlySet<string>): boolean {
  if (words.size === 0) return false;
  return wordsOf(text).some((word) => words.has(word.toUpperCase()));
}

function collect(dataset: DicomDataset, words: Set<string>): void {
  for (const { tag, vr, items } of dataset.all()) {
    for (const item of items ?? []) collect(item, words);
    if (vr !== 'PN' && !NUMBERS.has(tag)) continue;
    for (const word of dataset.strings(tag).flatMap(wordsOf)) {
      if (word.length >= WORD_LENGTH_MIN && !isPlainWord(word)) words.add(word.toUpperCase());
    }
  }
}

/** PatientID, OtherPatientIDs, AccessionNumber, StudyID, AdmissionID, PlacerOrderNumber, FillerOrderNumber, PatientAddress. */
const NUMBERS: ReadonlySet<number> = new Set([
  0x00100020, 0x00101000, 0x00080050, 0x00200010, 0x00380010, 0x00402016, 0x00402017, 0x00101040,
]);
