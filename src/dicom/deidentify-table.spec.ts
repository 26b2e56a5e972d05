import { describe, expect, it } from 'vitest';
import { PROFILE_TABLE, type ProfileOption, type ProfileRow } from './deidentify/profile-table.ts';
import { made, read } from './fixtures/deidentified.ts';
import {
  INSTANCE,
  image,
  SECRETS,
  SERIES,
  STUDY,
  secretElement,
  TEST_PSEUDONYMS,
} from './fixtures/identified-dataset.ts';
import { vrOfTag } from './reading/data-dictionary.ts';
import { tagName } from './reading/decode-values.ts';

const ROWS = [...PROFILE_TABLE.values()];
/** Type 1 or of our own making: judged by tests of their own. */
const OF_THEIR_OWN = new Set([0x00100010, 0x00100020, 0x0020000d, 0x0020000e, 0x00080018, 0x00020003]);
/** Tags of 2022 and later. */
const NEWER_TAGS = 27;
const inDataset = ROWS.filter(({ tag }) => tag >>> 16 !== 0x0002 && !OF_THEIR_OWN.has(tag));
/** X/D and X/Z/D: of type 3 wherever they are. */
const OPTIONAL_TIMES = new Set([0x00080012, 0x00080013]);
const title = (row: ProfileRow) => ({ name: tagName(row.tag), ...row });

describe('every row of the table', () => {
  it('of edition 2026d is there, by action: 657 with the four that are groups of tags', () => {
    const count = Map.groupBy(ROWS, ({ basic }) => basic);
    const rows = Object.fromEntries([...count].map(([basic, all]) => [basic, all.length]));
    expect(rows).toEqual({
      ...{ X: 413, 'X/Z': 11, 'X/Z/D': 8, 'X/Z/U*': 2, 'X/D': 23 },
      ...{ Z: 42, 'Z/D': 6, D: 93, U: 55 },
    });
    expect(ROWS.length + ['curves', 'overlay data', 'overlay comments', 'private'].length).toBe(657);
  });

  it('has its options: device and dates both have a say in eleven rows, and a keeping option in these', () => {
    const says = (...options: ProfileOption[]) =>
      ROWS.filter((row) => options.every((option) => row.options[option] !== undefined));
    expect(
      says('retain-device-identity', 'retain-modified-dates').map(({ tag }) => tagName(tag)),
    ).toHaveLength(11);
    const kept = (option: ProfileOption) => ROWS.filter((row) => row.options[option] === 'K').length;
    expect(kept('retain-patient-characteristics')).toBe(14);
    expect(kept('retain-institution-identity')).toBe(10);
    expect(ROWS.filter(({ options }) => options['retain-device-identity'] === 'C')).toHaveLength(11);
    // All dates and times but those of birth, and the time of a satellite.
    const times = ROWS.filter(({ tag }) => ['DA', 'DT', 'TM'].includes(vrOfTag(tag)));
    const without = times.filter(({ options }) => !options['retain-modified-dates']);
    expect(without.map(({ tag }) => tag).sort()).toEqual([0x00100030, 0x00100032, 0x00160077]);
  });

  it('stands for a tag that PS3.6 knows, once', () => {
    // The dictionary is older than these; in explicit files they say their VR themselves.
    expect(ROWS.filter(({ tag }) => vrOfTag(tag) === 'UN').length).toBeLessThanOrEqual(NEWER_TAGS);
  });

  it('has the VR that its answer is made for: UIDs are mapped, times are moved, texts are cleaned', () => {
    const vrs = (rows: readonly ProfileRow[]) => [...new Set(rows.map(({ tag }) => vrOfTag(tag)))].sort();
    expect(vrs(ROWS.filter(({ basic }) => basic === 'U'))).toEqual(['UI']);
    // Frame Origin Timestamp and Certified Timestamp are bytes, Timezone Offset text: they are removed.
    expect(vrs(ROWS.filter(({ options }) => options['retain-modified-dates']))).toEqual([
      ...['DA', 'DT', 'OB', 'SH', 'TM', 'UN'],
    ]);
    const uids = ROWS.filter(({ basic, options }) => options['retain-uids'] && basic !== 'U');
    expect(vrs(uids)).toEqual(['SQ', 'UI']);
  });

  it.each(inDataset.map(title))('$name becomes what the basic profile says: $basic', ({ tag, basic }) => {
    const vr = vrOfTag(tag);
    const { dataset } = read(image([secretElement(tag)]));
    const strings = dataset.strings(tag);
    const noDummy = vr === 'SQ' || vr === 'UN' || vr.startsWith('O') || OPTIONAL_TIMES.has(tag);
    if (tag >>> 16 < 8 || basic === 'X' || (basic === 'X/Z' && vr === 'SQ' && tag !== 0x00400555))
      expect(dataset.has(tag)).toBe(false);
    else if (basic === 'Z' || basic === 'X/Z') expect(dataset.get(tag)).toMatchObject({ length: 0 });
    else if (basic === 'U') expect(strings).toEqual([TEST_PSEUDONYMS.uid(SECRETS['UI'] ?? '')]);
    else if (basic === 'X/Z/U*') {
      const [item] = dataset.items(tag);
      expect([item?.string(0x00081155), item?.string(0x0040a123), item?.has(0x0040a160)]).toEqual([
        TEST_PSEUDONYMS.uid(SECRETS['UI'] ?? ''),
        'REMOVED',
        false,
      ]);
    } else if (noDummy) expect(dataset.has(tag)).toBe(false);
    else expect([strings.length, strings[0] === '', strings[0] === SECRETS[vr]]).toEqual([1, false, false]);
  });

  it.each(
    inDataset
      .filter(({ options }) => Object.keys(options).length > 0)
      .flatMap((row) =>
        Object.keys(row.options).map((option) => ({ ...title(row), option: option as ProfileOption })),
      ),
  )('$name becomes what $option says', ({ tag, options, option }) => {
    const vr = vrOfTag(tag);
    const [before, after] = [[], [option]].map((used) => read(image([secretElement(tag)]), used).dataset);
    const values = after?.strings(tag);
    if (tag >>> 16 < 8) expect(after?.has(tag)).toBe(false);
    // A text under a VR that cannot be looked through is emptied.
    else if (options[option] === 'K' && vr === 'UN') expect(after?.get(tag)).toMatchObject({ length: 0 });
    else if (options[option] === 'K' && vr === 'SQ') expect(after?.items(tag)).toHaveLength(1);
    else if (options[option] === 'K')
      expect(values).toEqual(image([secretElement(tag)]).dataset.strings(tag));
    else if (option === 'retain-modified-dates' && (vr === 'DA' || vr === 'DT')) {
      expect(values?.[0]).toMatch(vr === 'DA' ? /^(19[78]\d|1980)\d{4}$/ : /^19[78]\d{5}031415$/);
      expect(values?.[0]).not.toBe(SECRETS[vr]);
    } else if (option === 'retain-modified-dates' && vr === 'TM') expect(values).toEqual([SECRETS['TM']]);
    else if (option === 'clean-descriptors' && SECRETS[vr] !== undefined)
      expect(after?.get(tag)).toMatchObject({ length: 0 });
    else expect(after?.has(tag)).toBe(before?.has(tag));
  });

  it('leaves no secret in the bytes when all of them stand in one file, whatever the options', () => {
    const full = image(
      inDataset
        .map(({ tag }) => secretElement(tag))
        .concat(secretElement(0x00100010), secretElement(0x00100020)),
    );
    for (const options of [
      [],
      ['clean-descriptors'],
      ['retain-modified-dates'],
      ['retain-safe-private'],
    ] as const) {
      const text = made(full, options).toString('latin1').toUpperCase();
      const times = options.some((option) => option === 'retain-modified-dates') ? [SECRETS['TM']] : [];
      const found = [...Object.values(SECRETS), STUDY, SERIES, INSTANCE, 'ZZQSECRETBYTES'].filter(
        (secret) => text.includes(secret.toUpperCase()) && !times.includes(secret),
      );
      expect(found).toEqual([]);
    }
  });
});
