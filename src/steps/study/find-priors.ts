import type { Identifier, ImagingStudy, List, Patient } from '@medplum/fhirtypes';
import type { PatientStudiesAsked, PatientStudy, StudySource } from '../../dicom/study-source.ts';
import type { ResourceStore } from '../../fhir/resource-store.ts';
import { PACS_NOT_ASKED, PRIOR_STUDIES_CODE } from '../../governance/prior-studies.ts';
import type { StudyContextStore } from '../../governance/study-context.store.ts';
import { asNearStudy, regionsOfStudy, sameRegion } from '../../governance/study-region.ts';
import type { Clock } from '../../kernel/clock.ts';
import { IDENTIFIER_SYSTEMS } from '../../kernel/code-systems.ts';
import { Failure } from '../../kernel/errors.ts';
import type { AnalysisAccepted, PriorsListed } from '../../kernel/handoffs.ts';
import { done, type Step, type StepResult, skipped } from '../step.ts';
import { imagingStudyId } from './metadata-to-imaging-study.ts';

/** How far back the PACS is asked. */
export const PRIOR_YEARS_MAX = 10;
/** Studies that are listed, newest first. */
export const PRIOR_STUDIES_MAX = 20;
/** Questions to the PACS for one study: a number for each record that was merged, no more. */
export const PATIENT_NUMBERS_MAX = 3;

/**
 * Studies of the same patient, modality and region from before this one that nobody analysed: those that the record knows, and those that only the
 * PACS has. Listed as "not analysed" beside the study. Runs beside the way; no result waits for it. A PACS that is away is not asked again, and the
 * list says that it was not asked.
 */
export class FindPriorsStep implements Step<AnalysisAccepted, PriorsListed> {
  readonly name = 'priors';

  constructor(
    private readonly source: Pick<StudySource, 'studiesOfPatient'>,
    private readonly store: ResourceStore,
    private readonly contexts: Pick<StudyContextStore, 'readUnanalysed'>,
    private readonly clock: Clock,
  ) {}

  async run({ imagingStudyId: id }: AnalysisAccepted): Promise<StepResult<PriorsListed>> {
    const [study, listed] = await this.read(id);
    if (!study?.started || !study.modality?.[0]?.code) return skipped('the study has no time or no modality');
    const [known, unknown] = await Promise.all([this.knownTo(study), this.onlyInPacs(study)]);
    if (unknown === null && listed)
      return skipped('the PACS did not answer, and what was listed before stands');
    const found = [...known, ...(unknown ?? [])].sort((a, b) => (a.date < b.date ? 1 : -1));
    // Nothing to say, and nothing said before: no row for the usual case.
    if (unknown !== null && found.length === 0 && !listed)
      return skipped('there is no earlier study that is not analysed');
    const resource = listOf(id, study, found.slice(0, PRIOR_STUDIES_MAX), unknown !== null, this.clock.now());
    return done<PriorsListed>(null, {
      durable: false,
      write: async (tx) =>
        void (await this.store.write(tx, [{ kind: 'update', resource, unchanged: 'skip' }])),
    });
  }

  private async read(id: string): Promise<[ImagingStudy | null, boolean]> {
    const found = await this.store.readMany([
      { type: 'ImagingStudy', id },
      { type: 'List', id },
    ]);
    const study = found.find((stored) => stored.type === 'ImagingStudy' && !stored.deleted);
    return [study?.parse<ImagingStudy>() ?? null, found.some(({ type }) => type === 'List')];
  }

  /** Of the patient, and of the records that this one replaced. */
  private async numbersOf(study: ImagingStudy): Promise<PatientNumber[]> {
    const ids = [study.subject.reference?.split('/')[1] ?? ''];
    const [patient] = await this.patients(ids);
    const merged = (patient?.link ?? [])
      .filter(({ type }) => type === 'replaces' || type === 'replaced-by')
      .map(({ other }) => other.reference?.split('/')[1] ?? '');
    const others = merged.length === 0 ? [] : await this.patients(merged.slice(0, PATIENT_NUMBERS_MAX));
    const all = [...(patient ? [patient] : []), ...others].flatMap(numbersOfPatient);
    const once = new Map(all.map((number) => [`${number.issuer}|${number.patientId}`, number]));
    return [...once.values()].slice(0, PATIENT_NUMBERS_MAX);
  }

  private async patients(ids: readonly string[]): Promise<Patient[]> {
    const found = await this.store.readMany(ids.filter(Boolean).map((id) => ({ type: 'Patient', id })));
    return found.filter(({ deleted }) => !deleted).map((stored) => stored.parse<Patient>());
  }

  /** null: the PACS did not answer, or not in time. */
  private async ask(asked: readonly PatientStudiesAsked[]): Promise<readonly PatientStudy[] | null> {
    try {
      const answers = await Promise.all(asked.map((one) => this.source.studiesOfPatient?.(one) ?? []));
      return answers.flat();
    } catch (error) {
      if (error instanceof Failure && error.code.startsWith('dicomweb.')) return null;
      throw error;
    }
  }

  /** Of the record; a study dated like this one is no prior, for a day alone cannot tell. */
  private async knownTo(study: ImagingStudy): Promise<Prior[]> {
    const own = regionsOfStudy(asNearStudy(study));
    const day = dayOf(study.started ?? '');
    return (await this.contexts.readUnanalysed(study.id ?? '')).flatMap((near) => {
      const date = dayOf(near.started);
      const fits = date < day && sameRegion(own, regionsOfStudy(near));
      return fits ? [{ date, item: { reference: `ImagingStudy/${near.id}` } }] : [];
    });
  }

  /** null: the PACS did not answer. The embedded archive announces every study by itself. */
  private async onlyInPacs(study: ImagingStudy): Promise<Prior[] | null> {
    if (!this.source.studiesOfPatient) return [];
    const numbers = await this.numbersOf(study);
    const found = await this.ask(questionsFor(study, numbers));
    if (found === null) return null;
    const own = regionsOfStudy(asNearStudy(study));
    const fitting = found.filter(({ description }) =>
      sameRegion(own, regionsOfStudy({ series: [], description })),
    );
    const byId = new Map(fitting.map((one) => [imagingStudyId(one.studyInstanceUid), one]));
    byId.delete(study.id ?? '');
    const known = await this.store.readMany([...byId.keys()].map((id) => ({ type: 'ImagingStudy', id })));
    for (const { id } of known) byId.delete(id);
    return [...byId.values()].map(({ studyInstanceUid, date }) => ({
      date,
      item: { identifier: { system: IDENTIFIER_SYSTEMS.dicomUid, value: `urn:oid:${studyInstanceUid}` } },
    }));
  }
}

interface Prior {
  /** `YYYYMMDD` */
  readonly date: string;
  readonly item: { readonly reference: string } | { readonly identifier: Identifier };
}

const dayOf = (started: string): string => started.slice(0, 10).replaceAll('-', '');

interface PatientNumber {
  readonly patientId: string;
  readonly issuer: string | null;
  readonly birthDate: string | null;
}

function numbersOfPatient({ identifier = [], birthDate }: Patient): PatientNumber[] {
  const records = identifier.filter(
    ({ use, type }) => use === 'usual' || type?.coding?.some(({ code }) => code === 'MR'),
  );
  return records.flatMap(({ value, assigner, use }) =>
    value && use !== 'old'
      ? [
          {
            patientId: value,
            issuer: assigner?.display ?? null,
            birthDate: birthDate?.replaceAll('-', '') ?? null,
          },
        ]
      : [],
  );
}

/** Until the day of the study: what was made later that day is no prior, and the day alone cannot tell. */
function questionsFor(study: ImagingStudy, numbers: readonly PatientNumber[]): PatientStudiesAsked[] {
  const to = (study.started ?? '').slice(0, 10).replaceAll('-', '');
  const from = `${Number(to.slice(0, 4)) - PRIOR_YEARS_MAX}${to.slice(4)}`;
  const modality = study.modality?.[0]?.code ?? '';
  return numbers.map((number) => ({ ...number, modality, from, to }));
}

/** A List with the id of the study. Not `asked`: the PACS did not answer, which is another thing than nothing found. */
function listOf(
  id: string,
  study: ImagingStudy,
  priors: readonly Prior[],
  asked: boolean,
  now: Date,
): List & { id: string } {
  const modality = study.modality?.[0]?.code ?? '';
  return {
    resourceType: 'List',
    id,
    status: 'current',
    mode: 'snapshot',
    title: 'Prior studies that are not analysed',
    code: { coding: [{ ...PRIOR_STUDIES_CODE }] },
    subject: study.subject as List['subject'],
    date: now.toISOString(),
    // An empty reason needs an empty list (lst-1); a list that may lack something says so in a note.
    ...(priors.length === 0 ? { emptyReason: asked ? NONE : NOT_ASKED } : {}),
    ...(priors.length > 0 && !asked ? { note: [{ text: PACS_NOT_ASKED }] } : {}),
    ...(priors.length > 0
      ? {
          entry: priors.map(({ item, date }) => ({
            item: {
              type: 'ImagingStudy',
              ...item,
              display: `${modality} ${date.slice(0, 4)}-${date.slice(4, 6)}-${date.slice(6)}`,
            },
          })),
        }
      : {}),
  };
}

const EMPTY_REASONS = 'http://terminology.hl7.org/CodeSystem/list-empty-reason';
const NOT_ASKED = {
  coding: [{ system: EMPTY_REASONS, code: 'unavailable', display: 'Unavailable' }],
  text: PACS_NOT_ASKED,
};
const NONE = { coding: [{ system: EMPTY_REASONS, code: 'nilknown', display: 'Nil Known' }] };
