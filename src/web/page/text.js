/** The texts of the page in the viewer's language. Each language is one file of patterns; numbers follow the viewer's habits. */

export const LANGUAGES = ["en", "de", "es", "fr", "pt", "ru"];

const languageOf = (tag) => tag.split("-")[0].toLowerCase();

/** The first tag of the browser's preferences for which there are texts, with its region: `de-AT`. */
export const preferred = (tags) => tags.find((tag) => LANGUAGES.includes(languageOf(tag))) ?? "en";

export const locale = preferred(navigator.languages);
export const language = languageOf(locale);

const { texts } = await import(`./text_${language}.js`);
const numbers = new Intl.NumberFormat(locale);
const plurals = new Intl.PluralRules(locale);

export const number = (n) => numbers.format(n);

/** The pattern of a key. Where it has plural forms, `n` chooses. */
function pattern(key, n) {
  const entry = texts[key];
  return typeof entry === "string" ? entry : (entry[plurals.select(n)] ?? entry.other);
}

const shown = (value) => (typeof value === "number" ? number(value) : value);

/** The text with its `{values}` filled in. */
export const t = (key, values = {}) => pattern(key, values.n).replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));

/** The same as a list of texts and elements, for values that are elements. */
export const pieces = (key, values) =>
  pattern(key, values.n).split(/\{(\w+)\}/).map((piece, place) => (place % 2 ? shown(values[piece]) : piece));

/** A number of seconds or minutes, such as "10 s". */
export const unit = (n, name) => new Intl.NumberFormat(locale, { style: "unit", unit: name, unitDisplay: "short" }).format(n);

/** What went wrong, for a person. The reasons of the server are in English. */
export function inWords({ status, message }) {
  if (!status) return t("error.no-answer");
  if (status === 404) return t("error.gone");
  return status === 409 ? t("error.conflict", { why: message }) : message;
}

/** Fills in the texts of the elements that the HTML names by key: `data-text`, `data-name` for what only screen readers say, and `data-hint`. */
export function translate(root) {
  document.documentElement.lang = locale;
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = t(node.dataset.text);
  for (const node of root.querySelectorAll("[data-name]")) node.setAttribute("aria-label", t(node.dataset.name));
  for (const node of root.querySelectorAll("[data-hint]")) node.placeholder = t(node.dataset.hint);
}
