import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type {
  DiagnosticReport,
  ImagingStudy,
  Observation,
  Resource,
  StructureDefinition,
  Task,
} from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { packageIndex, profilePage } from '../scripts/profile-page.ts';
import { loadDefinitions } from '../src/fhir/definitions/definitions.ts';
import { knownProfiles } from '../src/fhir/profiles/known-profiles.ts';
import { ownPackageFolder, readPackage } from '../src/fhir/profiles/package-folder.ts';
import { findIssues } from '../src/fhir/validate/validate-resource.ts';
import { rejectedTask, requestedTask } from '../src/governance/analysis-task.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import type { Manifest } from '../src/governance/manifest.ts';
import { manifestToDevice } from '../src/governance/manifest-to-device.ts';
import { priorToExtension, recordedPriors } from '../src/governance/prior-result.ts';
import { PRELIM } from '../src/kernel/code-systems.ts';
import type { Finding, FindingsCoded } from '../src/kernel/handoffs.ts';
import { findingsToRecord } from '../src/steps/report/findings-to-record.ts';
import { terminologyResources } from '../src/terminology/shipped-terminology.ts';

const NOW = new Date('2026-03-04T05:06:07Z');
const STUDY: ImagingStudy = {
  resourceType: 'ImagingStudy',
  id: 'study-1',
  meta: { versionId: '1' },
  identifier: [{ system: 'urn:dicom:uid', value: 'urn:oid:1.2.3' }],
  status: 'available',
  subject: { reference: 'Patient/p' },
  started: '2026-03-04T04:00:00Z',
  modality: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: 'CT' }],
  numberOfSeries: 1,
  numberOfInstances: 40,
};

const finding = (more: Partial<Finding>): Finding => ({
  key: 'pneumothorax',
  label: 'Pneumothorax',
  kind: 'presence',
  presence: 'present',
  score: 0.91,
  threshold: 0.5,
  value: null,
  unit: null,
  codes: [
    { system: 'http://snomed.info/sct', code: '36118008', display: 'Pneumothorax', match: 'exact' },
    { system: 'http://radlex.org', code: 'RID5352', display: 'pneumothorax', match: 'broader' },
    { system: 'http://dicom.nema.org/resources/ontology/DCM', code: null, display: null, match: 'none' },
  ],
  actionable: 1,
  ...more,
});
const measurement = finding({
  ...{ key: 'laa-950', label: 'Low attenuation', kind: 'measurement', presence: null, score: null },
  ...{ value: 12.5, unit: '%', threshold: 25, codes: [], actionable: null },
});

let model: RegisteredModel;
let record: ReturnType<typeof findingsToRecord>;
const profile = (name: string) => `${PRELIM}/StructureDefinition/${name}`;
const faults = (resource: unknown, name: string) =>
  findIssues(resource as Resource, [profile(name)])
    .filter((issue) => issue.severity !== 'information')
    .map((issue) => `${issue.at}: ${issue.text}`);

beforeAll(async () => {
  await loadDefinitions();
  knownProfiles.addPackage(
    readPackage(ownPackageFolder()).filter((one) => one.resourceType === 'StructureDefinition'),
  );
  const folder = 'models/ct-lung-density/1.0.0';
  const name = readdirSync(folder).find((one) => /^manifest\.(json|ya?ml)$/.test(one)) ?? '';
  const manifest = parse(readFileSync(join(folder, name), 'utf8')) as Manifest;
  model = { ref: `${manifest.id}@${manifest.version}`, manifest, folder, file: '', graph: null };
  const coded = {
    ...{ taskId: 't', imagingStudyId: 'study-1', studyInstanceUid: '1.2.3', model: model.ref },
    ...{ seriesInstanceUid: '1.2.3.1', sopInstanceUids: ['1.2.3.1.1'], warnings: [], inputsDigest: 'd1' },
    ...{ keyPicture: 'picture-1', keySopInstanceUid: '1.2.3.1.1' },
    findings: [
      finding({}),
      finding({ key: 'effusion', label: 'Effusion', presence: 'absent', actionable: null }),
      measurement,
    ],
  } as unknown as FindingsCoded;
  record = findingsToRecord(coded, STUDY, model, NOW);
});

describe('what the server writes conforms to the profiles it publishes', () => {
  it('the preliminary report', () => {
    expect(record.report.meta?.profile).toEqual([profile('preliminary-ai-report')]);
    expect(faults(record.report, 'preliminary-ai-report')).toEqual([]);
    expect(faults(record.report, 'radiology-report')).toEqual([]);
  });

  it('its findings, the measured one as an imaging measurement, the judged ones as qualitative evaluations', () => {
    for (const observation of record.observations) {
      expect(observation.meta?.profile).toEqual([profile('finding-observation')]);
      expect(faults(observation, 'finding-observation')).toEqual([]);
    }
    const [present, absent, measured] = record.observations;
    expect(faults(measured, 'imaging-measurement')).toEqual([]);
    for (const one of [present, absent]) expect(faults(one, 'imaging-qualitative-evaluation')).toEqual([]);
    expect(faults(measured, 'imaging-qualitative-evaluation')).not.toEqual([]);
  });

  it('a finding with the earlier results beside it, whether they are compared or not; six are one too many', () => {
    const prior = {
      ...{
        observationId: 'o1',
        taken: '2026-01-03T09:00:00Z',
        modelVersion: '1.0.0',
        value: 11.2,
        unit: '%',
      },
      ...{ presence: null, change: 1.3, caution: null },
    };
    const other = { ...prior, change: null, caution: 'model-version' as const };
    const was = { ...prior, value: null, unit: null, change: null, presence: 'absent' as const };
    const measured = record.observations.at(-1);
    const withPriors = (...priors: Parameters<typeof priorToExtension>[0][]) => ({
      ...measured,
      extension: priors.map(priorToExtension),
    });
    expect(faults(withPriors(prior, other, was), 'finding-observation')).toEqual([]);
    expect(faults(withPriors(prior, other, was), 'imaging-measurement')).toEqual([]);
    expect(recordedPriors(withPriors(prior, other, was) as Observation)).toEqual([prior, other, was]);
    expect(faults(withPriors(prior, prior, prior, prior, prior, prior), 'finding-observation')).not.toEqual(
      [],
    );
  });

  it('the model, the analysis, its refusal, and the study', () => {
    const task = requestedTask({ study: STUDY, studyInstanceUid: '1.2.3', model: model.ref }, NOW);
    const refused = rejectedTask(task, [{ rule: 'body-part', observed: 'abdomen', required: 'chest' }], NOW);
    expect(faults(manifestToDevice(model.manifest), 'model-device')).toEqual([]);
    expect(faults(task, 'analysis-task')).toEqual([]);
    expect(faults(refused, 'refusal-task')).toEqual([]);
    expect(faults(STUDY, 'dicom-imaging-study')).toEqual([]);
  });
});

const ACCESSION = {
  coding: [{ system: 'http://terminology.hl7.org/CodeSystem/v2-0203', code: 'ACSN' }],
};

const changed = <T extends Resource>(resource: T, change: (copy: T) => void): T => {
  const copy = structuredClone(resource);
  change(copy);
  return copy;
};

describe('what does not conform is refused', () => {
  const REPORTS: readonly (readonly [string, (report: DiagnosticReport) => void, string])[] = [
    ['without its category', (one) => delete one.category, 'DiagnosticReport.category'],
    ['in another category', (one) => one.category?.shift(), 'DiagnosticReport.category'],
    ['without the number of the analysis', (one) => one.identifier?.shift(), 'DiagnosticReport.identifier'],
    ['without a time', (one) => delete one.effectiveDateTime, 'DiagnosticReport.effective'],
    [
      'about a group',
      (one) => Object.assign(one, { subject: { reference: 'Group/1' } }),
      'DiagnosticReport.subject.reference',
    ],
    [
      'that hides that it is preliminary',
      (one) => Object.assign(one, { conclusion: 'All is well.' }),
      'DiagnosticReport',
    ],
    ['of no study', (one) => delete one.imagingStudy, 'DiagnosticReport.imagingStudy'],
  ];
  it.each(REPORTS)('a report %s', (_what, change, at) => {
    const issues = findIssues(changed(record.report, change));
    expect(issues.map((issue) => issue.at)).toContain(at);
    expect(issues.every((issue) => issue.severity === 'error')).toBe(true);
  });

  const FINDINGS: readonly (readonly [string, (finding: Observation) => void, string])[] = [
    [
      'with a value in words',
      (one) => {
        delete one.valueCodeableConcept;
        one.valueString = 'yes';
      },
      'Observation.valueString',
    ],
    ['of no device', (one) => delete one.device, 'Observation.device'],
    ['without our own code', (one) => one.code.coding?.shift(), 'Observation.code.coding'],
    [
      'with two scores',
      (one) => one.component?.push(...(one.component?.slice(0, 1) ?? [])),
      'Observation.component',
    ],
    [
      'with a score in words',
      (one) => {
        const [score] = one.component ?? [];
        delete score?.valueQuantity;
        Object.assign(score ?? {}, { valueString: 'x' });
      },
      'Observation.component[0].valueString',
    ],
    [
      'with a fourth actionable category',
      (one) => Object.assign(one.extension?.[0] ?? {}, { valueInteger: 4 }),
      'Observation.extension[0].valueInteger',
    ],
    [
      'with an actionable category in words',
      (one) => {
        const [first] = one.extension ?? [];
        delete first?.valueInteger;
        Object.assign(first ?? {}, { valueString: '1' });
      },
      'Observation.extension[0].valueString',
    ],
    [
      'derived from an Observation',
      (one) => Object.assign(one, { derivedFrom: [{ reference: 'Observation/1' }] }),
      'Observation.derivedFrom[0].reference',
    ],
  ];
  it.each(FINDINGS)('a finding %s', (_what, change, at) => {
    const present = record.observations[0] as Observation;
    expect(findIssues(changed(present, change)).map((issue) => issue.at)).toContain(at);
  });

  const STUDIES: readonly (readonly [string, object, string])[] = [
    ['without its UID', { identifier: [{ system: 'urn:x', value: '1' }] }, 'ImagingStudy.identifier'],
    [
      'whose UID is no urn:oid',
      { identifier: [{ system: 'urn:dicom:uid', value: '1.2.3' }] },
      'ImagingStudy.identifier[0].value',
    ],
    [
      'whose accession number is empty',
      { identifier: [...(STUDY.identifier ?? []), { type: ACCESSION }] },
      'ImagingStudy.identifier[1].value',
    ],
    ['without a modality', { modality: undefined }, 'ImagingStudy.modality'],
  ];
  it.each(STUDIES)('a study %s', (_what, change, at) => {
    const study = JSON.parse(JSON.stringify({ ...STUDY, ...change }));
    expect(findIssues(study, [profile('dicom-imaging-study')]).map((issue) => issue.at)).toContain(at);
  });

  it('a study with an accession number conforms', () => {
    const identifier = [...(STUDY.identifier ?? []), { type: ACCESSION, system: 'urn:site', value: 'A1' }];
    expect(faults({ ...STUDY, identifier }, 'dicom-imaging-study')).toEqual([]);
  });

  it('a group of measurements without a member, or in no group category', () => {
    const { effectiveDateTime } = record.observations[0] as Observation;
    const group = {
      ...{ resourceType: 'Observation', status: 'final', effectiveDateTime },
      category: [{ coding: [{ system: 'http://dicom.nema.org/resources/ontology/DCM', code: '125007' }] }],
      code: { coding: [{ system: 'http://snomed.info/sct', code: '427359005' }] },
      subject: { reference: 'Patient/p' },
      device: { reference: 'Device/d' },
      hasMember: [{ reference: 'Observation/1' }],
      derivedFrom: [{ reference: 'ImagingStudy/study-1' }],
    };
    expect(faults(group, 'imaging-measurement-group')).toEqual([]);
    expect(faults({ ...group, hasMember: undefined }, 'imaging-measurement-group')).not.toEqual([]);
    expect(faults({ ...group, category: [] }, 'imaging-measurement-group')).not.toEqual([]);
  });

  it('an extension of ours with a part too few, or of another type', () => {
    const present = record.observations[0] as Observation;
    const region = (...extension: object[]) => ({
      ...present,
      extension: [{ url: profile('image-region'), extension }],
    });
    const image = { url: 'image', valueUri: 'urn:oid:1.2' };
    const outline = { url: 'outline', valueString: '0,0 1,0 1,1' };
    const at = (of: object) => findIssues(of as Resource).map((issue) => issue.at);
    expect(at(region(image, outline))).toEqual([]);
    expect(at(region(image))).toContain('Observation.extension[0].extension');
    expect(at(region(image, { url: 'outline', valueInteger: 1 }))).not.toEqual([]);
    const prior = { url: profile('prior-result'), extension: [{ url: 'taken', valueDateTime: '2026' }] };
    expect(at({ ...present, extension: [prior] })).not.toEqual([]);
  });

  it('a refusal without the rule that refused, or with a result', () => {
    const task = requestedTask({ study: STUDY, studyInstanceUid: '1.2.3', model: model.ref }, NOW);
    const refused = rejectedTask(task, [{ rule: 'body-part', observed: 'a', required: 'b' }], NOW);
    expect(
      faults(
        changed<Task>(refused, (one) => delete one.statusReason?.coding),
        'refusal-task',
      ),
    ).not.toEqual([]);
    const result = [{ type: { text: 'report' }, valueString: 'x' }];
    expect(faults({ ...refused, output: result }, 'refusal-task')).not.toEqual([]);
    expect(faults(task, 'refusal-task')).not.toEqual([]);
  });
});

describe('the package', () => {
  const all = readPackage(ownPackageFolder());
  const definitions = all.filter(
    (one): one is StructureDefinition => one.resourceType === 'StructureDefinition',
  );

  it('holds resources that are valid themselves, each under the URL its id says', () => {
    for (const one of all) {
      expect([one.id, findIssues(one).map((issue) => `${issue.at}: ${issue.text}`)]).toEqual([one.id, []]);
      expect(one.url).toBe(`${PRELIM}/${one.resourceType}/${one.id}`);
    }
  });

  it('has profiles that this server can compile and that demand something', () => {
    for (const { url } of definitions) {
      const found = knownProfiles.find(String(url));
      expect([url, (found?.root.children.size ?? 0) > 0, found?.unevaluated]).toEqual([url, true, []]);
    }
  });

  it('defines every extension of ours that the server writes into the record', () => {
    const named = readdirSync('src', { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'))
      .map((name) => readFileSync(join('src', name), 'utf8'))
      .flatMap((text) => [...text.matchAll(/PRELIM\}\/StructureDefinition\/([a-z-]+)/g)].map(([, id]) => id));
    // These two hold settings of this server in a Basic: nobody else reads them, and their content is checked where it is taken in.
    const settings = ['oauth-client', 'ris-profile'];
    const defined = definitions.map(({ id }) => id);
    expect(named.length).toBeGreaterThan(8);
    expect(named.filter((id) => !settings.includes(String(id)) && !defined.includes(id))).toEqual([]);
  });

  it('defines the code systems that its profiles fix codes of, or leaves them to terminology/', () => {
    const fixed = new Set(
      JSON.stringify(definitions).match(/https:\/\/prelim\.example\/fhir\/CodeSystem\/[a-z-]+/g),
    );
    const there = all.flatMap((one) => (one.resourceType === 'CodeSystem' ? [one.url] : []));
    const shipped = terminologyResources().map(({ url }) => url);
    expect(fixed.size).toBeGreaterThan(2);
    expect([...fixed].filter((url) => !there.includes(url) && !shipped.includes(url))).toEqual([]);
  });

  it('has an index of texts only: loaders read nothing else', () => {
    const { files } = JSON.parse(packageIndex(all)) as { files: Record<string, unknown>[] };
    expect(files.flatMap((one) => Object.values(one)).filter((one) => typeof one !== 'string')).toEqual([]);
  });

  it('is described by its page, word for word, and by its index', () => {
    expect(readFileSync('docs/fhir-profiles.md', 'utf8')).toBe(profilePage(all));
    const index = readFileSync(join(ownPackageFolder(), '.index.json'), 'utf8');
    expect(index).toBe(packageIndex(all));
    const files = readdirSync(ownPackageFolder()).filter((name) => /^[A-Z]/.test(name));
    expect((JSON.parse(index) as { files: { filename: string }[] }).files.map((one) => one.filename)).toEqual(
      files.sort(),
    );
  });

  it('says what a package must say of itself, and depends on R4', () => {
    const made = JSON.parse(readFileSync(join(ownPackageFolder(), 'package.json'), 'utf8'));
    expect(made).toMatchObject({
      name: expect.stringMatching(/^[a-z][a-z0-9-]*(\.[a-z][a-z0-9-]*)+$/),
      version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
      fhirVersions: ['4.0.1'],
      dependencies: { 'hl7.fhir.r4.core': '4.0.1' },
      canonical: PRELIM,
    });
  });
});
