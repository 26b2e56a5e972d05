import type { Patient } from '@medplum/fhirtypes';
import { Inject, Injectable } from '@nestjs/common';
import { type AccessContext, accessOfGrant } from '../../fhir/access-context.ts';
import { ResourceStore } from '../../fhir/resource-store.ts';
import type { PatientChoice } from '../pages/auth-pages.ts';
import { parseScopes } from '../scope.ts';
import { AuditSignIn } from './audit-sign-in.ts';
import type { Person } from './session.store.ts';

/** A page of buttons; who has more than this types more letters. */
export const CHOICES_MAX = 20;
const ID = /^[A-Za-z0-9.-]{1,64}$/;

/** Finds patients for a person who must choose one: only those that the person may see. */
@Injectable()
export class PatientPicker {
  constructor(
    @Inject(ResourceStore) private readonly store: ResourceStore,
    @Inject(AuditSignIn) private readonly audit: AuditSignIn,
  ) {}

  async find(person: Person, text: string, clientId: string): Promise<PatientChoice[]> {
    const access = accessOf(person);
    const value = text
      .trim()
      .slice(0, 100)
      .replaceAll(/[\\,|$]/g, '\\$&');
    const found = new Map<string, PatientChoice>();
    for (const parameter of ['identifier', 'name']) {
      if (parameter === 'name' && found.size >= CHOICES_MAX) break;
      const query = new URLSearchParams({ [parameter]: value, _count: String(CHOICES_MAX) });
      const { matches } = await this.store.search('Patient', query, undefined, access);
      for (const stored of matches) found.set(stored.id, choiceOf(stored.parse<Patient>(), stored.id));
    }
    const choices = [...found.values()].slice(0, CHOICES_MAX);
    await this.audit.shown(
      clientId,
      person,
      'search-type',
      choices.map(({ id }) => id),
    );
    return choices;
  }

  /** The patient with this number; null: none that the person may see and that is in use, or more than one. */
  async byNumber(person: Person, system: string, number: string, clientId: string): Promise<string | null> {
    const escaped = (text: string) => text.replaceAll(/[\\,|$]/g, '\\$&');
    const query = new URLSearchParams({
      identifier: `${escaped(system)}|${escaped(number)}`,
      _count: String(CHOICES_MAX),
    });
    const { matches } = await this.store.search('Patient', query, undefined, accessOf(person));
    const current = matches.filter((stored) => isInUse(stored.parse<Patient>()));
    await this.audit.shown(
      clientId,
      person,
      'search-type',
      current.map(({ id }) => id),
    );
    return current.length === 1 ? String(current[0]?.id) : null;
  }

  /** The name of a patient, for the page that asks for approval; null: none that the person may see. */
  async nameOf(person: Person, id: string, clientId: string): Promise<string | null> {
    const patient = await this.read(person, id);
    if (patient) await this.audit.shown(clientId, person, 'read', [id]);
    return patient && choiceOf(patient, id).name;
  }

  async maySee(person: Person, id: string): Promise<boolean> {
    return (await this.read(person, id)) !== null;
  }

  private async read(person: Person, id: string): Promise<Patient | null> {
    if (!ID.test(id)) return null;
    const stored = await this.store.read('Patient', id, undefined, accessOf(person));
    return stored && !stored.deleted ? stored.parse<Patient>() : null;
  }
}

/** The rights of the person, as an app that acts for it would have them on patients. */
function accessOf(person: Person): AccessContext {
  return accessOfGrant({
    clientId: 'sign-in',
    subject: person.subject,
    scopes: parseScopes('user/Patient.rs'),
    ...(person.fhirUser === undefined ? {} : { fhirUser: person.fhirUser }),
    roles: person.roles,
  });
}

/** Not put away, and not merged into another. */
const isInUse = ({ active, link = [] }: Patient): boolean =>
  active !== false && !link.some(({ type }) => type === 'replaced-by');

function choiceOf(patient: Patient, id: string): PatientChoice {
  const [name] = patient.name ?? [];
  const spelled = name?.text ?? [name?.family, ...(name?.given ?? [])].filter(Boolean).join(', ');
  return {
    id,
    name: spelled || 'Without a name',
    birthDate: patient.birthDate ?? '',
    number: patient.identifier?.[0]?.value ?? '',
  };
}
