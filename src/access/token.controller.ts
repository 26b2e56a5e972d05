import {
  Body,
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  HttpException,
  Inject,
  Post,
} from '@nestjs/common';
import { AccessTokens, TOKEN_LIFETIME_S } from './access-tokens.ts';
import { type Client, secretFits } from './clients.ts';
import { CLIENTS, SIGNING_KEY } from './injection.ts';
import { narrow, parseScopes, scopeText } from './scope.ts';
import type { SigningKey } from './signing-key.ts';

/** The token endpoint of the local server: OAuth 2.0 client credentials (RFC 6749 §4.4). */
@Controller('auth')
export class TokenController {
  constructor(
    private readonly tokens: AccessTokens,
    @Inject(CLIENTS) private readonly clients: Map<string, Client>,
    @Inject(SIGNING_KEY) private readonly key: SigningKey,
  ) {}

  @Post('token')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @Header('Pragma', 'no-cache')
  async token(
    @Body() body: Record<string, unknown> | undefined,
    @Headers('authorization') authorization?: string,
  ): Promise<object> {
    const form = body ?? {};
    if (form['grant_type'] !== 'client_credentials')
      refuse(400, 'unsupported_grant_type', 'grant_type must be client_credentials');
    const { id, secret } = credentials(form, authorization);
    const client = this.clients.get(id);
    if (!secretFits(client, secret) || !client)
      refuse(401, 'invalid_client', 'unknown client or wrong secret');
    const granted = this.granted(client, form['scope']);
    return {
      access_token: await this.tokens.issue(client.id, granted),
      token_type: 'Bearer',
      expires_in: TOKEN_LIFETIME_S,
      scope: scopeText(granted),
    };
  }

  /** The public half of the key that access tokens are signed with (RFC 7517). */
  @Get('jwks')
  jwks(): object {
    return { keys: [this.key.publicJwk] };
  }

  private granted(client: Client, scope: unknown) {
    if (typeof scope !== 'string' || scope.trim() === '') return client.scopes;
    let wanted: ReturnType<typeof parseScopes>;
    try {
      wanted = parseScopes(scope);
    } catch (error) {
      refuse(400, 'invalid_scope', (error as Error).message);
    }
    const granted = narrow(wanted, client.scopes);
    if (granted.length === 0) refuse(400, 'invalid_scope', 'none of the scopes may be given to this client');
    return granted;
  }
}

function credentials(form: Record<string, unknown>, authorization?: string): { id: string; secret: string } {
  const basic = /^Basic ([A-Za-z0-9+/=]+)$/.exec(authorization ?? '')?.[1];
  if (basic) {
    const [id = '', ...rest] = Buffer.from(basic, 'base64').toString('utf8').split(':');
    return { id: decode(id), secret: decode(rest.join(':')) };
  }
  return { id: String(form['client_id'] ?? ''), secret: String(form['client_secret'] ?? '') };
}

/** RFC 6749 §2.3.1: both parts are form-encoded before base64. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}

function refuse(status: number, error: string, description: string): never {
  throw new HttpException({ error, error_description: description }, status);
}
