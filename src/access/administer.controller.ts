import { Body, Controller, Delete, Get, HttpCode, Inject, Param, Post, Put, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Failure } from '../kernel/errors.ts';
import { administers } from './grant.ts';
import { SIGNING_KEY } from './injection.ts';
import { Revocations } from './oauth/revocations.ts';
import { AccountStore } from './people/account.store.ts';
import { SessionStore } from './people/session.store.ts';
import { readAccount } from './read-account.ts';
import { ClientStore } from './registration/client.store.ts';
import type { SigningKeys } from './signing-key.ts';

/** What an administrator does beside FHIR: secrets of clients, accounts of people, our signing keys. Clients themselves are Basic resources. */
@Controller('auth')
export class AdministerController {
  constructor(
    @Inject(ClientStore) private readonly clients: ClientStore,
    @Inject(AccountStore) private readonly accounts: AccountStore,
    @Inject(SessionStore) private readonly sessions: SessionStore,
    @Inject(Revocations) private readonly revocations: Revocations,
    @Inject(SIGNING_KEY) private readonly keys: SigningKeys,
  ) {}

  /** A new secret, shown in this answer only. The one before works on until there is a third. */
  @Post('clients/:id/secret')
  @HttpCode(201)
  async secret(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    demandAdministrator(request);
    const secret = await this.clients.newSecret(id);
    if (secret === null)
      throw new Failure(
        'http.not-found',
        'There is no registered client with this id that may have a secret.',
      );
    return { client_id: id, client_secret: secret };
  }

  @Get('accounts')
  async list(@Req() request: FastifyRequest): Promise<object> {
    demandAdministrator(request);
    return { accounts: await this.accounts.all() };
  }

  /** `{password, roles, fhirUser}`: makes the account or changes it. What the person had signed in to ends. */
  @Put('accounts/:name')
  @HttpCode(204)
  async put(
    @Param('name') name: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
  ): Promise<void> {
    demandAdministrator(request);
    const { password, ...account } = readAccount(name, body);
    await this.accounts.put(account, password);
    await this.endAllOf(account.name);
  }

  @Delete('accounts/:name')
  @HttpCode(204)
  async close(@Param('name') name: string, @Req() request: FastifyRequest): Promise<void> {
    demandAdministrator(request);
    if (!(await this.accounts.close(name))) throw new Failure('http.not-found', 'There is no such account.');
    await this.endAllOf(name.toLowerCase());
  }

  /** New signing keys. `{"compromised": true}`: the old ones end now, and every token with them. */
  @Post('keys/rotate')
  @HttpCode(201)
  async rotate(@Body() body: unknown, @Req() request: FastifyRequest): Promise<object> {
    demandAdministrator(request);
    const compromised = (body as { compromised?: unknown } | undefined)?.compromised === true;
    return { kids: await this.keys.rotate(compromised ? 0 : undefined) };
  }

  /** Whoever knows the password of before is signed out everywhere. */
  private async endAllOf(account: string): Promise<void> {
    await this.sessions.closeOf(account);
    await this.revocations.endSubject(`local:${account}`);
  }
}

function demandAdministrator({ grant }: FastifyRequest): void {
  if (!grant || !administers(grant))
    throw new Failure(
      'auth.scope',
      'This needs a token with the role administrator, or that of the local client.',
    );
}
