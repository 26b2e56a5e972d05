import { Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { AuditOutcome } from '../../database/audit-sink.ts';
import { Database } from '../../database/database.ts';
import type { Person } from './session.store.ts';

/**
 * What the pages of sign-in add to the audit: whose page it is (the audit of requests names who stands in `request.grant`), what an OpenID
 * provider said, and which patients a person was shown there.
 */
@Injectable()
export class AuditSignIn {
  constructor(@Inject(Database) private readonly database: Database) {}

  /** From now on the request is this person's, in the audit and nowhere else: there is no right in it. */
  name(
    request: FastifyRequest,
    clientId: string,
    person: Pick<Person, 'subject' | 'fhirUser' | 'roles'>,
  ): void {
    request.grant = {
      clientId,
      subject: person.subject,
      ...(person.fhirUser === undefined ? {} : { fhirUser: person.fhirUser }),
      roles: person.roles,
      scopes: [],
      tokenId: '',
    };
  }

  /** A sign-in with an OpenID provider, which is no POST. */
  async openId(request: FastifyRequest, clientId: string, person: Person | null): Promise<void> {
    const outcome: AuditOutcome = person ? 0 : 4;
    await this.database.audit?.record({
      kind: 'sign-in',
      interaction: 'open-id',
      action: 'E',
      outcome,
      actor: { client: clientId, address: request.ip, ...(person ? named(person) : {}) },
    });
  }

  /** Throws where it cannot be stored: then the patients are not shown. */
  async shown(
    clientId: string,
    person: Person,
    interaction: 'read' | 'search-type',
    patients: string[],
  ): Promise<void> {
    await this.database.audit?.record({
      kind: 'rest',
      interaction,
      action: interaction === 'read' ? 'R' : 'E',
      outcome: 0,
      entity: interaction === 'read' ? `Patient/${patients[0]}` : 'Patient',
      patients,
      actor: { client: clientId, ...named(person) },
    });
  }
}

const named = (person: Person) => ({ person: person.fhirUser ?? person.subject, roles: person.roles });
