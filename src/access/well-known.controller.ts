import { Controller, Get, Header, Inject } from '@nestjs/common';
import { SETTINGS } from '../config/settings.token.ts';
import type { Settings } from '../config/settings.ts';
import { OUTSIDE_ISSUERS } from './injection.ts';
import { SCOPE_WORDS } from './oauth/scope-words.ts';
import type { OutsideIssuer } from './outside/outside-issuers.ts';
import { smartEndpoints } from './smart-endpoints.ts';
import { GRANT_TYPES } from './token.controller.ts';

/** What a client must know before it asks for anything. No token, no cookie, no dependence on `Accept`. */
@Controller()
export class WellKnownController {
  constructor(
    @Inject(SETTINGS) private readonly settings: Settings,
    @Inject(OUTSIDE_ISSUERS) private readonly issuers: readonly OutsideIssuer[],
  ) {}

  /** SMART App Launch 2.2 "Using well-known"; below the FHIR base, and at the root for who looks there. */
  @Get(['fhir/.well-known/smart-configuration', '.well-known/smart-configuration'])
  @Header('Content-Type', 'application/json; charset=utf-8')
  smart(): object {
    return {
      ...this.endpoints(),
      capabilities: CAPABILITIES,
    };
  }

  /** OpenID Connect Discovery 3, and RFC 8414, whose members are the same. */
  @Get(['.well-known/openid-configuration', '.well-known/oauth-authorization-server'])
  @Header('Content-Type', 'application/json; charset=utf-8')
  openId(): object {
    return {
      ...this.endpoints(),
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
      claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'nonce', 'auth_time', 'fhirUser'],
      request_uri_parameter_supported: false,
    };
  }

  private endpoints(): object {
    const { baseUrl } = this.settings;
    return {
      issuer: baseUrl,
      jwks_uri: `${baseUrl}/auth/jwks`,
      ...smartEndpoints(baseUrl, this.issuers),
      token_endpoint_auth_methods_supported: [
        'private_key_jwt',
        'client_secret_basic',
        'client_secret_post',
        'none',
      ],
      token_endpoint_auth_signing_alg_values_supported: ['RS384', 'ES384'],
      grant_types_supported: GRANT_TYPES,
      scopes_supported: [...SCOPE_WORDS, 'patient/*.cruds', 'user/*.cruds', 'system/*.cruds'],
      response_types_supported: ['code'],
      response_modes_supported: ['query'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    };
  }
}

/** SMART App Launch 2.2 "Capabilities": each is shown by a test in test/access. */
const CAPABILITIES: readonly string[] = [
  'launch-ehr',
  'launch-standalone',
  'authorize-post',
  'client-public',
  'client-confidential-symmetric',
  'client-confidential-asymmetric',
  'context-ehr-patient',
  'context-ehr-encounter',
  'context-standalone-patient',
  'sso-openid-connect',
  'permission-v2',
  'permission-v1',
  'permission-patient',
  'permission-user',
  'permission-offline',
  'permission-online',
];
