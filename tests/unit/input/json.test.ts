/** Text that is no JSON: where it stops being it, said in words of our own. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { findDuplicate, parseJson, parseJsonObject } from "../../../core/input/json.ts";
import { findSyntaxFault } from "../../../core/input/json-syntax.ts";

const SOURCE = { name: "mine.json", code: "bad_argument" } as const;

describe("what stands where", () => {
  it.each([
    ["", "is empty"],
    [" \r\n", "is empty"],
    ["{", 'ends in line 1, where a name in double quotes or "}" has to follow'],
    ['{ "a": [1, 2', 'ends in line 1, where "," or "]" has to follow'],
    ['{\r\n  "a": 1,\r\n', "ends in line 3, where a name in double quotes has to follow"],
    ['{"a": "half', "ends in line 1, where the text's closing quote has to follow"],
    ['{"a": 1,}', 'line 1, column 9 has "}" where a name in double quotes has to be'],
    ["[1,\n 2,\n]", 'line 3, column 1 has "]" where a value has to be'],
    ["[1 2]", 'line 1, column 4 has "2" where "," or "]" has to be'],
    ['{"a" 1}', 'line 1, column 6 has "1" where ":" has to be'],
    ["{a: 1}", 'line 1, column 2 has "a" where a name in double quotes or "}" has to be'],
    ["// mine\n{}", 'line 1, column 1 has "/" where a value has to be'],
    ['{"a": NaN}', 'line 1, column 7 has "NaN" where a value has to be'],
    ['{"a": -Infinity}', 'line 1, column 7 has "-Infinity" where a value has to be'],
    ['{"a": 1}}', 'line 1, column 9 has "}" where the end has to be'],
    ['{"a": "C:\\models"}', 'line 1, column 10 has "\\m" where a backslash written as "\\\\" has to be'],
    ['{"a": "x\n"}', "line 1, column 9 has the end of the line where the text's closing quote has to be"],
    ["\u0000\u0001ELF", "line 1, column 1 has a character that is no text where a value has to be"],
  ])("%j", (text, words) => {
    const sentence =
      words === "is empty"
        ? `mine.json ${words}`
        : `mine.json is not JSON: ${words.startsWith("line") ? words : `it ${words}`}`;
    expect(() => parseJson(text, SOURCE)).toThrow(sentence);
  });

  it("is found where the engine's own parser stops, or at the beginning of the word there", () => {
    fc.assert(
      fc.property(
        fc.json(),
        fc.nat(),
        fc.constantFrom("", "}", "]", ",", '"', "\\", "x", "\n", "1"),
        (json, where, by) => {
          const at = where % (json.length + 1);
          const text = json.slice(0, at) + by + json.slice(at + 1);
          const stopped = positionOfEngine(text);
          if (stopped === undefined) return;
          const { line, column } = findSyntaxFault(text);
          const found =
            text
              .split("\n")
              .slice(0, line - 1)
              .join("\n").length +
            (line > 1 ? 1 : 0) +
            column -
            1;
          expect(found).toBeLessThanOrEqual(stopped);
          expect(text.slice(found, stopped)).toMatch(/^[\w.+\\-]*$/);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

/** Node says the place in its message, but not for a text that ends too early. */
function positionOfEngine(text: string): number | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    const [, position] = /at position (\d+)/.exec(String(error)) ?? [];
    return position === undefined ? undefined : Number(position);
  }
}

it("what is no object says so, with what to do next", () => {
  const source = { ...SOURCE, hint: "Download it again." };
  for (const text of ["[]", "null", "3", '"text"'])
    expect(() => parseJsonObject(text, source)).toThrow("mine.json must hold a JSON object: { … }");
  const data = expect.objectContaining({ hint: "Download it again." });
  expect(() => parseJson("{", source)).toThrow(expect.objectContaining({ data }));
});

it("names that occur twice are found at any depth with their path, and only within one object", () => {
  expect(findDuplicate('{"a":{"b":1},"c":{"b":2}}')).toBeUndefined();
  expect(findDuplicate('{"a":"b\\":","c":["a","a"]}')).toBeUndefined();
  expect(findDuplicate('{"x":{"y":1},"a":[[1,2],{"b" : 1, "c":{"d":[]}, "\\u0062":2}]}')).toEqual(["a", 1, "b"]);
  const twice = '{"phases":[{},{"work":"a","work":"b"}]}';
  expect(() => parseJson(twice, SOURCE, { refuseDuplicates: true })).toThrow(
    "mine.json: phases[1].work is there twice",
  );
});
