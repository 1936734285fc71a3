/**
 * Codes of territories (ISO 3166) and currencies (ISO 4217), and their names, as Node.js knows them. It knows more
 * regions than are countries: those are left out here, which leaves the 249 that ISO assigns.
 */
const regions = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
const currencies = new Intl.DisplayNames('en', { type: 'currency', fallback: 'none' });

/** Reserved or withdrawn codes, and groups of countries. */
const noCountries = new Set(
  'AC AN BU CP CQ CS DD DG DY EA EU EZ FX HV IC NH QO RH SU TA TP UK UN VD XA XB XK YD YU ZR ZZ'.split(' '),
);
/** A code for tests, and the one of three X, which says that there is no currency. */
const noCurrency = /^X(TS|X{2})$/;

/** The English name, or undefined where there is no such territory. */
export function territoryName(code: string): string | undefined {
  return /^[A-Z]{2}$/.test(code) && !noCountries.has(code) ? regions.of(code) : undefined;
}

/** The English name, or undefined where there is no such currency. */
export function currencyName(code: string): string | undefined {
  return /^[A-Z]{3}$/.test(code) && !noCurrency.test(code) ? currencies.of(code) : undefined;
}
