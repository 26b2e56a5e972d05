/** Small resources that differ in one thing. */

export const patient = (more: object) => ({ resourceType: 'Patient', ...more });
export const observation = (more: object) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { text: 'x' },
  ...more,
});
export const report = (more: object) => ({
  resourceType: 'DiagnosticReport',
  status: 'final',
  code: { text: 'x' },
  ...more,
});
export const bundle = (type: string, ...entry: object[]) => ({ resourceType: 'Bundle', type, entry });
export const div = (inner: string) => patient({ text: { status: 'generated', div: inner } });
export const xhtml = (inner: string) => div(`<div xmlns="http://www.w3.org/1999/xhtml">${inner}</div>`);
export const coded = (code: string, display?: string) => ({
  coding: [{ system: 'http://loinc.org', code, ...(display ? { display } : {}) }],
});
export const questionnaire = (...item: object[]) => ({
  resourceType: 'Questionnaire',
  status: 'draft',
  item,
});
export const ext = (more: object) => patient({ extension: [{ url: 'http://x.example/e', ...more }] });

/** What the work throws; null: nothing. */
export const refusal = (work: () => void): unknown => {
  try {
    work();
    return null;
  } catch (error) {
    return error;
  }
};
