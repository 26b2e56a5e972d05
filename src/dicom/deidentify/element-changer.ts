import type { Pseudonyms } from '../deidentify-pseudonyms.ts';
import type { DicomDataset, DicomElement } from '../dicom-dataset.ts';
import { tagKey } from '../reading/decode-values.ts';
import { cappedAge, dummyOf, hasForm, shiftedDates } from './changed-value.ts';
import { cleanText } from './clean-text.ts';
import { identifyingWords, repeats } from './identifying-words.ts';
import { isSafePrivate, KEPT_BYTES, publicCode } from './kept-elements.ts';
import { type DeidentifyOptions, type ElementRule, ruleOfElement } from './rule-of-element.ts';
import { littleEndianValue, padded, textValue, type WrittenElement } from './write-elements.ts';

/**
 * Goes through a data set and its sequences and makes each element what its rule says. One for each file: it knows the patient, for the
 * pseudonym and the date shift, and the words that identify him, which are looked for in every text that stays.
 */
export class ElementChanger {
  private readonly patient: string;
  private readonly words: ReadonlySet<string>;

  private readonly pseudonyms: Pseudonyms;
  private readonly options: DeidentifyOptions;

  constructor(root: DicomDataset, pseudonyms: Pseudonyms, options: DeidentifyOptions) {
    this.pseudonyms = pseudonyms;
    this.options = options;
    this.patient = patientOf(root);
    this.words = identifyingWords(root);
  }

  /** What stays of a data set or an item, in no order. */
  elements(dataset: DicomDataset): WrittenElement[] {
    const written: WrittenElement[] = [];
    const creators = new Map<number, string>();
    for (const element of dataset.all()) {
      const changed = isPrivate(element.tag)
        ? this.privateElement(dataset, element, creators)
        : this.changed(dataset, element, ruleOfElement(element.tag, element.vr, this.options));
      if (changed !== null) written.push(changed);
    }
    for (const [tag, creator] of creators) written.push({ tag, vr: 'LO', value: textValue(creator, 'LO') });
    return written;
  }

  /** The UID that stands for this one. Those that DICOM registered name no instance and stay. */
  uid(original: string, tag: number): string {
    if (original === '') return original;
    if (original.startsWith(REGISTERED) && !INSTANCE_UIDS.has(tag)) return original;
    return this.pseudonyms.uid(original);
  }

  private changed(dataset: DicomDataset, element: DicomElement, rule: ElementRule): WrittenElement | null {
    const { tag, vr } = element;
    if (rule === 'remove') return null;
    if (rule === 'items') return this.sequence(element);
    if (rule === 'empty' && vr === 'SQ') return { tag, vr, value: [] };
    const text = this.changedText(dataset, element, rule);
    if (text !== null) return { tag, vr, value: textValue(text, vr) };
    if (rule !== 'keep' && rule !== 'text') return null;
    return this.kept(dataset, element, rule);
  }

  /** The new value of those rules that make one; what was empty stays empty. */
  private changedText(dataset: DicomDataset, element: DicomElement, rule: ElementRule): string | null {
    const { tag, vr, length } = element;
    const values = () => dataset.strings(tag);
    if (rule === 'empty' || (length === 0 && rule !== 'patient-id')) return '';
    switch (rule) {
      case 'patient-id':
        return this.pseudonyms.patientId(this.patient);
      case 'dummy':
        return dummyOf(vr);
      case 'uid':
        return values()
          .map((uid) => this.uid(uid, tag))
          .join('\\');
      case 'class-uid':
        return values()
          .filter((uid) => uid.startsWith(REGISTERED))
          .join('\\');
      case 'dates':
        return shiftedDates(values().join('\\'), vr, this.pseudonyms.dayOffset(this.patient));
      case 'age':
        return values().map(cappedAge).join('\\');
      case 'clean':
        return cleanText(values().join(' '))
          .slice(0, TEXT_LENGTH_MAX[vr] ?? 64)
          .trim();
      default:
        return null;
    }
  }

  /** The bytes as they were: numbers, tables, and text that has its form and repeats nothing. */
  private kept(dataset: DicomDataset, element: DicomElement, rule: ElementRule): WrittenElement | null {
    const { tag, vr } = element;
    // A text under a VR of bytes could not be looked through.
    if (rule === 'text' && !TEXTS.has(vr)) return { tag, vr, value: Buffer.alloc(0) };
    if (rule === 'text' || CHECKED.has(vr)) {
      const isGood = (value: string) =>
        hasForm(vr, value) &&
        (vr === 'DS' ||
          vr === 'UI' ||
          (vr === 'IS' && value.length < NUMBER_LENGTH_MIN) ||
          !repeats(value, this.words));
      if (!dataset.strings(tag).every(isGood)) return { tag, vr, value: Buffer.alloc(0) };
    }
    const source = dataset.valueBytes(element);
    if (BINARY_NUMBERS.has(vr) && !KEPT_BYTES.has(tag) && TEXT_RUN.test(source.toString('latin1')))
      return { tag, vr, value: Buffer.alloc(0) };
    const bytes = littleEndianValue(source, vr, dataset.littleEndian);
    return { tag, vr, value: padded(bytes, vr === 'UI' || vr.startsWith('O') ? 0 : 0x20) };
  }

  private sequence(element: DicomElement): WrittenElement | null {
    const items = (element.items ?? [])
      .filter((item) => publicCode(item.strings(CODING_SCHEME)))
      .map((item) => this.elements(item));
    // A sequence that lost its last item says nothing; one that had none is as it was.
    if (items.length === 0 && (element.items ?? []).length > 0) return null;
    return { tag: element.tag, vr: 'SQ', value: items };
  }

  private privateElement(
    dataset: DicomDataset,
    element: DicomElement,
    creators: Map<number, string>,
  ): WrittenElement | null {
    if (!this.options.has('retain-safe-private')) return null;
    const creatorTag = (element.tag & 0xffff0000) + ((element.tag >>> 8) & 0xff);
    const creator = dataset.string(creatorTag >>> 0);
    if (creator === null || !isSafePrivate(element.tag, element.vr, creator)) return null;
    creators.set(creatorTag >>> 0, creator);
    return this.kept(dataset, element, 'keep');
  }
}

/** Text by its form: looked through also where it is kept by its VR. */
const CHECKED: ReadonlySet<string> = new Set(['IS', 'DS', 'CS', 'UI']);
const TEXTS: ReadonlySet<string> = new Set([
  ...['AE', 'AS', 'CS', 'DA', 'DS', 'DT', 'IS', 'LO', 'LT', 'PN', 'SH', 'ST', 'TM', 'UC', 'UI', 'UR', 'UT'],
]);
const BINARY_NUMBERS: ReadonlySet<string> = new Set(['US', 'SS', 'UL', 'SL', 'FL', 'FD', 'SV', 'UV', 'AT']);
/** In a damaged file a wrong length lets a number swallow the names that follow it. Eight such bytes in a row are no numbers. */
const TEXT_RUN = /[A-Za-z^=,. ]{8}/;
/** Shorter series and image numbers are met in patient numbers by chance. */
const NUMBER_LENGTH_MIN = 6;
const REGISTERED = '1.2.840.10008.';
const CODING_SCHEME = 0x00080102;
const INSTANCE_UIDS: ReadonlySet<number> = new Set([0x00080018, 0x0020000d, 0x0020000e]);
const TEXT_LENGTH_MAX: Readonly<Record<string, number>> = {
  SH: 16,
  CS: 16,
  LO: 64,
  ST: 1024,
  LT: 1024,
  UT: 4096,
};

const isPrivate = (tag: number): boolean => ((tag >>> 16) & 1) === 1;

/** Issuer and id; without an id the study stands for the patient. */
function patientOf(root: DicomDataset): string {
  const id = root.string(0x00100020);
  return id === null
    ? `${tagKey(0x0020000d)}\0${root.string(0x0020000d) ?? ''}`
    : `${root.string(0x00100021) ?? ''}\0${id}`;
}
