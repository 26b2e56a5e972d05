import { describe, expect, it } from 'vitest';
import { narrow, parseScopes, permits, SCOPES_MAX, scopeText } from './scope.ts';

const cut = (wanted: string, allowed: string) => scopeText(narrow(parseScopes(wanted), parseScopes(allowed)));

describe('SMART App Launch 2.2 scopes', () => {
  it.each([
    ['system/Observation.rs'],
    ['patient/*.cruds'],
    ['user/Task.u'],
    ['system/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|imaging'],
    ['patient/Observation.r?category=laboratory&status=final'],
    ['patient/Condition.rs?category=http%3A%2F%2Fexample.org%7Cx'],
  ])('%s is read and printed as it is', (text) => {
    expect(scopeText(parseScopes(text))).toBe(text);
  });

  it.each([
    ['patient/Observation.read', 'patient/Observation.rs'],
    ['user/*.write', 'user/*.cud'],
    ['system/*.*', 'system/*.cruds'],
  ])('version 1: %s is %s', (v1, v2) => {
    expect(scopeText(parseScopes(v1))).toBe(v2);
  });

  it.each([
    ['patient/Observation.read-only', 'letters'],
    ['patient/Observation.rsXYZ', 'letters'],
    ['patient/Observation.', 'may not grant nothing'],
    ['patient/Observation', 'may not grant nothing'],
    ['patient/Observation.dus', 'order'],
    ['patient/Observation.rr', 'stand once'],
    ['patient/observation.r', 'resource type'],
    ['patient/**.r', 'resource type'],
    ['admin/Observation.r', 'begin with'],
    ['Observation.r', 'begin with'],
    ['patient/Observation.r?', 'read like'],
    ['patient/Observation.r?category', 'read like'],
    ['patient/Observation.r?category=', 'read like'],
    ['patient/Observation.r?category:not=x', 'no modifier'],
    ['patient/Observation.r?patient.name=x', 'no chain'],
    ['patient/Observation.r?_filter=x', 'plain search parameters'],
    ['patient/Observation.r?_include=x', 'plain search parameters'],
    ['patient/Observation.r?category=%zz', 'begins no escape'],
    ['patient/Observation.r?a=1&b=2&c=3&d=4&e=5&f=6', 'parameters'],
    ['patient/Observation.read?category=x', 'version 1 takes no query'],
    ['patient/Observation.r"', 'RFC 6749'],
    ['patient/Observation.r\nsystem/*.cruds', 'RFC 6749'],
    ['patient/Observation.rs\u00e9', 'RFC 6749'],
  ])('%s is refused by name', (text, rule) => {
    expect(() => parseScopes(text)).toThrow(rule);
    expect(() => parseScopes(text)).toThrow(expect.objectContaining({ code: 'auth.scope' }));
  });

  it('a list longer than SCOPES_MAX or SCOPE_CHARS_MAX is refused', () => {
    expect(
      parseScopes(
        Array(SCOPES_MAX)
          .fill('a')
          .map(() => 'system/Task.r')
          .join(' '),
      ),
    ).toHaveLength(SCOPES_MAX);
    expect(() =>
      parseScopes(
        Array(SCOPES_MAX + 1)
          .fill('system/Task.r')
          .join(' '),
      ),
    ).toThrow('scopes');
    expect(() => parseScopes(`system/Task.r?status=${'x'.repeat(9_000)}`)).toThrow('characters');
  });

  it('an empty list may do nothing, and a scope with a query does not count as all of a type', () => {
    expect(permits(parseScopes(''), 'Patient', 'r')).toBe(false);
    expect(permits(parseScopes('system/Observation.rs?category=imaging'), 'Observation', 'r')).toBe(false);
    expect(permits(parseScopes('system/*.r'), 'Observation', 'r')).toBe(true);
  });
});

describe('what is granted of what is wanted', () => {
  it.each([
    ['system/Observation.cruds', 'system/Observation.rs', 'system/Observation.rs'],
    ['system/*.rs', 'system/Observation.r system/Patient.rs', 'system/Observation.r system/Patient.rs'],
    ['system/Observation.r', 'system/*.rs', 'system/Observation.r'],
    ['patient/*.rs', 'system/*.rs', ''],
    [
      'system/Observation.rs',
      'system/Observation.rs?category=imaging',
      'system/Observation.rs?category=imaging',
    ],
    [
      'system/Observation.rs?category=imaging',
      'system/Observation.rs',
      'system/Observation.rs?category=imaging',
    ],
    [
      'system/Observation.rs?status=final',
      'system/Observation.rs?category=imaging',
      'system/Observation.rs?status=final&category=imaging',
    ],
    ['system/Observation.r system/Observation.s', 'system/*.cruds', 'system/Observation.rs'],
    ['system/AuditEvent.rs', 'system/*.cruds', ''],
    ['system/*.rs', 'system/AuditEvent.rs', ''],
    ['user/*.rs user/AuditEvent.rs', 'user/*.cruds user/AuditEvent.rs', 'user/*.rs user/AuditEvent.rs'],
    ['', 'system/*.cruds', ''],
    ['system/*.cruds', '', ''],
  ])('of "%s" within "%s": "%s"', (wanted, allowed, granted) => {
    expect(cut(wanted, allowed)).toBe(granted);
  });
});
