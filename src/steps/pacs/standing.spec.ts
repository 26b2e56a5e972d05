import { expect, it } from 'vitest';
import { stableUid } from '../../dicom/stable-uid.ts';
import type { KnownObject } from './pacs-object.store.ts';
import { instanceNumberOf, latestPicture, revisionOf, standing, uidOfContent } from './standing.ts';

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
});

const uids = (objects: readonly KnownObject[]) => objects.map((one) => one.sopInstanceUid);

it('what was made before a withdrawal does not stand; a picture that was replaced withdraws nothing else', () => {
  const first = [known('sc', 1, 'a'), known('sr', 1, 'b')];
  const replaced = [...first, known('ko', 2, 'c'), known('sc', 2, 'd'), known('sr', 2, 'e')];
  expect(uids(standing(replaced))).toEqual(['a', 'b', 'c', 'd', 'e']);
  const withdrawn = [...replaced, known('ko', 3, 'f')];
  expect(standing(withdrawn)).toEqual([]);
  expect(uids(standing([...withdrawn, known('sr', 4, 'g')]))).toEqual(['g']);
});

it('a rejection note that the PACS refused has withdrawn nothing, and what it refused stands nowhere', () => {
  const objects = [known('sr', 1, 'a'), known('sc', 1, 'b', 'refused'), known('ko', 2, 'c', 'refused')];
  expect(uids(standing(objects))).toEqual(['a']);
});

it('a picture that says what it said keeps its UID while it stands, and never gets one that was rejected', () => {
  const [one, two] = [['says one'], ['says two']];
  const first = known('sc', 1, uidOfContent(one, [], []));
  expect(first.sopInstanceUid).toBe(stableUid('says one'));
  const uidNow = (says: readonly string[], earlier: readonly KnownObject[]) => {
    const latest = latestPicture(standing(earlier));
    return uidOfContent(says, earlier, latest ? [latest] : []);
  };
  expect(uidNow(one, [first])).toBe(first.sopInstanceUid);
  const made = [first];
  for (const says of [two, one, two, one, two]) {
    const uid = uidNow(says, made);
    expect(uids(made)).not.toContain(uid);
    made.push(known('sc', 1, uid), known('ko', 1, `note ${made.length}`));
    expect(uidNow(says, made)).toBe(uid);
  }
  expect(uids(made)).not.toContain(uidNow(two, [...made, known('ko', 2, 'withdrawn')]));
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
