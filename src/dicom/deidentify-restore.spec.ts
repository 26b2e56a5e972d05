import { expect, test } from 'vitest';
import { deidentify } from './deidentify.ts';
import { pseudonymsOf } from './deidentify-pseudonyms.ts';
import { originalsOf, restoreIdentity } from './deidentify-restore.ts';
import { element, part10 } from './fixtures/dicom-bytes.ts';
import {
  INSTANCE,
  image,
  nulPadded,
  STUDY,
  sequence,
  TEST_PSEUDONYMS,
} from './fixtures/identified-dataset.ts';
import { type Part10, readPart10 } from './read-part10.ts';

const OLD_KEY = pseudonymsOf(Buffer.alloc(32, 99));
const original = image([
  element(0x00080005, 'CS', 'ISO_IR 100'),
  element(0x00080020, 'DA', '20240229'),
  element(0x00080050, 'SH', 'ACC-7'),
  element(0x00100010, 'PN', Buffer.from('M\xfcller^\xc5sa ', 'latin1')),
  element(0x00100020, 'LO', '4711'),
  element(0x00200052, 'UI', nulPadded('1.2.3.77')),
]);

/** A report that somebody made of the de-identified image. */
function result(sent: Part10, reference: string): Part10 {
  const uid = (tag: number) => nulPadded(sent.dataset.string(tag) ?? '');
  return readPart10(
    part10(
      '1.2.840.10008.1.2.1',
      element(0x00080016, 'UI', nulPadded('1.2.840.10008.5.1.4.1.1.88.34')),
      element(0x00080018, 'UI', nulPadded('2.25.99')),
      element(0x00100010, 'PN', sent.dataset.string(0x00100010) ?? ''),
      element(0x00120062, 'CS', 'YES'),
      element(0x0020000d, 'UI', uid(0x0020000d)),
      element(0x0020000e, 'UI', nulPadded('2.25.98')),
      element(0x00280303, 'CS', 'REMOVED'),
      sequence(0x0040a375, [
        element(0x0020000d, 'UI', uid(0x0020000d)),
        sequence(0x00081115, [sequence(0x00081199, [element(0x00081155, 'UI', nulPadded(reference))])]),
      ]),
      sequence(0x0040a730, [
        element(0x0040a160, 'UT', 'Nodule, 7 mm'),
        element(0x30060024, 'UI', uid(0x00200052)),
      ]),
    ),
  );
}

function sent(pseudonyms = TEST_PSEUDONYMS): Part10 {
  const made = deidentify(original, { pseudonyms });
  if (made.kind === 'refused') throw new Error(made.verdict.observed);
  return readPart10(made.file);
}

const originals = originalsOf([original.dataset], [TEST_PSEUDONYMS, OLD_KEY]);
const none = new Set<string>();

test.each([
  ['the newest key', TEST_PSEUDONYMS],
  ['a key before it', OLD_KEY],
])(
  'A result of images sent under %s comes back to the image, the study and the patient it was made of',
  (_, key) => {
    const image = sent(key);
    const restored = restoreIdentity(result(image, image.dataset.string(0x00080018) ?? ''), originals, none);
    if (restored.kind === 'refused') throw new Error(restored.verdict.observed);
    const { dataset, meta } = readPart10(restored.file);
    const [study] = dataset.items(0x0040a375);
    const reference = study?.items(0x00081115)[0]?.items(0x00081199)[0]?.string(0x00081155);
    expect([dataset.string(0x0020000d), study?.string(0x0020000d), reference]).toEqual([
      STUDY,
      STUDY,
      INSTANCE,
    ]);
    expect(dataset.items(0x0040a730)[0]?.string(0x30060024)).toBe('1.2.3.77');
    expect([
      dataset.string(0x00100010),
      dataset.string(0x00100020),
      dataset.string(0x00080050),
      dataset.string(0x00080020),
    ]).toEqual(['Müller^Åsa', '4711', 'ACC-7', '20240229']);
    expect([dataset.has(0x00120062), dataset.has(0x00280303)]).toEqual([false, false]);
    expect([restored.sopInstanceUid, meta.string(0x00020003)]).toEqual(['2.25.99', '2.25.99']);
    expect(dataset.items(0x0040a730)[0]?.string(0x0040a160)).toBe('Nodule, 7 mm');
  },
);

test('A result of another site, of another study, or of an image nobody sent is refused', () => {
  const stranger = sent(pseudonymsOf(Buffer.alloc(32, 1)));
  expect(restoreIdentity(result(stranger, ''), originals, none)).toMatchObject({
    kind: 'refused',
    verdict: { observed: 'a study that is none of the originals' },
  });
  expect(restoreIdentity(result(sent(), '2.25.12345'), originals, none).kind).toBe('refused');
  expect(restoreIdentity(result(sent(), '2.25.12345'), originals, new Set(['2.25.12345'])).kind).toBe(
    'restored',
  );
});

test('A de-identified image itself comes back with its own UIDs', () => {
  const restored = restoreIdentity(sent(), originals, none);
  expect(restored).toMatchObject({ kind: 'restored', sopInstanceUid: INSTANCE });
});
