import { expect, it } from 'vitest';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { KnownObject } from './pacs-object.store.ts';
import { instanceNumberOf, perhapsShown, revisionOf, standing, uidOfContent } from './standing.ts';

const known = (
  kind: KnownObject['kind'],
  reportVersion: number,
  sopInstanceUid: string,
  state: KnownObject['state'] = 'stored',
): KnownObject => ({
  kind,
  reportVersion,
  sopInstanceUid,
  state,
  sopClassUid: '1',
  seriesInstanceUid: '2',
  studyInstanceUid: '3',
  contentDigest: null,
  rejects: null,
  rejectsFor: null,
});

const note = (
  reportVersion: number,
  sopInstanceUid: string,
  rejects: readonly string[],
  rejectsFor: KnownObject['rejectsFor'] = 'quality',
): KnownObject => ({ ...known('ko', reportVersion, sopInstanceUid), rejects, rejectsFor });

const uids = (objects: readonly KnownObject[]) => objects.map((one) => one.sopInstanceUid);

it('what a rejection note names does not stand, and everything else does', () => {
  const first = [known('seg', 1, 's'), known('sc', 1, 'a'), known('sr', 1, 'b')];
  const replaced = [...first, note(2, 'c', ['s', 'a']), known('sc', 2, 'd'), known('sr', 2, 'e')];
  expect(uids(standing(replaced))).toEqual(['b', 'd', 'e']);
  const withdrawn = [...replaced, note(3, 'f', ['b', 'd', 'e'])];
  expect(standing(withdrawn)).toEqual([]);
  expect(uids(standing([...withdrawn, known('sr', 4, 'g')]))).toEqual(['g']);
});

it('what was rejected for its quality may still be shown to somebody; what was rejected for safety is not named again', () => {
  const first = [known('seg', 1, 's'), known('sr', 1, 'b'), note(2, 'c', ['s'])];
  expect(uids(perhapsShown(first))).toEqual(['s', 'b']);
  const error = [...first, note(3, 'd', ['s', 'b'], 'safety'), known('sr', 4, 'e')];
  expect(uids(perhapsShown(error))).toEqual(['e']);
});

it('of a note of an older server, whose names were not kept, it is known what it did', () => {
  const first = [known('sc', 1, 'a'), known('sr', 1, 'b')];
  const replaced = [...first, known('ko', 2, 'c'), known('sc', 2, 'd'), known('sr', 2, 'e')];
  expect(uids(standing(replaced))).toEqual(['b', 'd', 'e']);
  expect(uids(standing([...replaced, known('ko', 3, 'f'), known('sr', 4, 'g')]))).toEqual(['g']);
});

it('a rejection note that the PACS refused has withdrawn nothing, and what it refused stands nowhere', () => {
  const refused = { ...note(2, 'c', ['a']), state: 'refused' as const };
  expect(uids(standing([known('sr', 1, 'a'), known('sc', 1, 'b', 'refused'), refused]))).toEqual(['a']);
});

it('a picture that says what it said keeps its UID while it stands, and never gets one that was rejected', () => {
  const [one, two] = [['says one'], ['says two']];
  const first = known('sc', 1, uidOfContent(one, []));
  expect(first.sopInstanceUid).toBe(stableUid('says one'));
  expect(uidOfContent(one, [first])).toBe(first.sopInstanceUid);
  const made = [first];
  for (const says of [two, one, two, one, two]) {
    const before = made.at(-1)!.kind === 'ko' ? made.at(-2)! : made.at(-1)!;
    const uid = uidOfContent(says, made);
    expect(uids(made)).not.toContain(uid);
    made.push(known('sc', 1, uid), note(1, `note ${made.length}`, [before.sopInstanceUid]));
    expect(uidOfContent(says, made)).toBe(uid);
  }
  const withdrawn = note(2, 'withdrawn', uids(standing(made)));
  expect(uids(made)).not.toContain(uidOfContent(two, [...made, withdrawn]));
});

it('instance numbers rise with versions and with every edit of a finding between them', () => {
  const made: KnownObject[] = [];
  const numbers = [1, 1, 1, 2, 4, 4].map((version) => {
    const number = instanceNumberOf('sr', version, made);
    made.push(known('sr', version, `${made.length}`));
    return number;
  });
  expect(numbers).toEqual([1, 2, 3, 4, 6, 7]);
  expect([revisionOf('sr', 1, made), revisionOf('sr', 3, made), revisionOf('sc', 1, made)]).toEqual([
    3, 0, 0,
  ]);
});
