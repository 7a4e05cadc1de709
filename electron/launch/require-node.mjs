/** Imported first by everything that a person starts: says so when Node is too old, before newer syntax breaks. */

export const LEAST_NODE = "20.19.0";

/**
 * Whether a version is at least another: "22.1.0", "v20.19".
 * @param {string} version
 * @param {string} least
 */
export function isAtLeast(version, least) {
  const parts = (/** @type {string} */ text) => text.replace(/^v/, "").split(".").map(Number);
  const have = parts(version);
  for (const [index, wanted] of parts(least).entries()) {
    const part = have[index] || 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}

if (!isAtLeast(process.versions.node, LEAST_NODE)) {
  console.error(`Tideline needs Node ${LEAST_NODE} or newer; this is ${process.versions.node}.`);
  console.error("Get one at https://nodejs.org or through your version manager (nvm install 22).");
  process.exit(1);
}
