import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type FreshDatabase, freshDatabase } from '../../test/database.ts';
import type { RegisteredModel } from './check-model.ts';
import type { Manifest } from './manifest.ts';
import { manifestToDevice } from './manifest-to-device.ts';
import { ModelRegister } from './model-register.ts';
import { ModelReleaseStore } from './model-release.store.ts';
import { judgeRelease, type ModelRelease } from './model-release.ts';
import { ModelStates } from './model-states.ts';

describe('a release to live', () => {
  it.each([
    ['all cases pass', { cases: 3, passed: 3, without: false }, { proof: '3 golden cases passed' }],
    ['one fails', { cases: 3, passed: 2, without: false }, { why: expect.stringMatching(/1 of 3/) }],
    [
      'one fails, and the site would go without',
      { cases: 3, passed: 2, without: true },
      { why: expect.anything() },
    ],
    [
      'there is none',
      { cases: 0, passed: 0, without: false },
      { why: expect.stringMatching(/--without-golden/) },
    ],
    [
      'there is none and the site says so',
      { cases: 0, passed: 0, without: true },
      { proof: expect.stringMatching(/explicit/) },
    ],
  ])('when %s', (_, golden, expected) => {
    expect(judgeRelease('live', golden)).toEqual(expected);
  });

  it('is the only one that asks for golden cases', () => {
    for (const state of ['shadow', 'pilot', 'retired'] as const)
      expect(judgeRelease(state, null)).toHaveProperty('proof');
  });
});

const SHA = 'a'.repeat(64);

const model = (version: string): RegisteredModel => ({
  ref: `chest@${version}`,
  folder: '/m',
  file: '/m/model.onnx',
  graph: null,
  manifest: {
    id: 'chest',
    version,
    title: 'Chest',
    intended_use: 'Tests.',
    regulatory_status: 'None.',
    claims: ['AUC 0.91 on 1,000 adults of one hospital.'],
    file: { path: 'model.onnx', sha256: SHA, licence: 'MIT' },
    device: { uid: `2.25.${version.replaceAll('.', '')}`, manufacturer: 'T', model: 'chest' },
    fits: { modality: ['DX'], age_years: { min: 18 }, age_missing: 'warn' },
  } as unknown as Manifest,
});

describe('the states of models', () => {
  let db: FreshDatabase;
  let releases: ModelReleaseStore;
  let models: ModelRegister;
  let states: ModelStates;
  beforeAll(async () => {
    db = await freshDatabase();
    releases = new ModelReleaseStore(db.database);
    models = new ModelRegister([model('1.0.0'), model('2.0.0')], []);
    states = new ModelStates(models, releases, { PRELIM_MODEL_STATE: 'shadow' });
  });
  afterAll(() => db.close());

  const release = (version: string, more: Partial<ModelRelease>): Promise<void> =>
    releases.add(db.database, {
      model: `chest@${version}`,
      state: 'live',
      at: new Date(),
      by: 'Dr Who',
      reason: 'committee of May',
      sha256: SHA,
      proof: '3 golden cases passed',
      ...more,
    });

  it('are what the site says of versions nobody has released', async () => {
    expect(await states.mayLeave('chest@1.0.0')).toBe(false);
    expect(models.get('chest')?.ref).toBe('chest@2.0.0');
  });

  it('change with a release, which keeps who, when, why and the proof; the version in use follows', async () => {
    await release('1.0.0', {});
    expect(await states.mayLeave('chest@1.0.0')).toBe(true);
    expect(models.get('chest')?.ref).toBe('chest@1.0.0');
    await release('2.0.0', { state: 'pilot' });
    expect(await states.mayLeave('chest@2.0.0')).toBe(true);
    expect(models.get('chest')?.ref).toBe('chest@1.0.0');
    expect(await releases.historyOf('chest@1.0.0')).toMatchObject([
      { by: 'Dr Who', reason: 'committee of May', proof: '3 golden cases passed', state: 'live' },
    ]);
  });

  it('a retired version is not used, sends nothing, and is still found by its full name', async () => {
    await release('1.0.0', { state: 'retired', by: 'Dr Else' });
    expect(await states.mayLeave('chest@1.0.0')).toBe(false);
    expect(models.get('chest')?.ref).toBe('chest@2.0.0');
    expect(models.get('chest@1.0.0')?.ref).toBe('chest@1.0.0');
    expect((await releases.historyOf('chest@1.0.0')).map(({ state }) => state)).toEqual(['live', 'retired']);
    await release('2.0.0', { state: 'retired' });
    await states.refresh();
    expect(models.get('chest')).toBeNull();
  });

  it('a release was of one file: another under the same version has not been released', async () => {
    await release('2.0.0', { state: 'live', sha256: 'b'.repeat(64) });
    expect(await states.mayLeave('chest@2.0.0')).toBe(false);
  });

  it('the table takes no state that there is not', async () => {
    await expect(release('1.0.0', { state: 'blessed' as never })).rejects.toThrow();
  });
});

describe('the Device of a model', () => {
  it('says its state, what it fits in plain words, what its maker claims, and its card', () => {
    const { manifest } = model('1.0.0');
    const device = manifestToDevice(manifest, { state: 'shadow', card: '# Card' });
    expect(device.status).toBe('active');
    expect(device.property?.[0]?.valueCode?.[0]?.coding?.[0]?.code).toBe('shadow');
    const notes = device.note?.map(({ text }) => text);
    expect(notes).toContain('Fits: modality DX; age at least 18 years (not stated: warn)');
    expect(notes).toContain('Claimed by its maker: AUC 0.91 on 1,000 adults of one hospital.');
    expect(notes).toContain('Card: # Card');
    expect(manifestToDevice(manifest, { state: 'retired' }).status).toBe('inactive');
  });
});
