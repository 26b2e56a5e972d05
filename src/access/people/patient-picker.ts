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
