// Search as one types, keys, and marks across lists. The page works without it.
const form = document.getElementById("search");
const input = document.getElementById("q");
const list = document.getElementById("hits");
const status = document.getElementById("hits-status");
document.documentElement.classList.add("js");

// -- search as one types ------------------------------------------------------------------------

let asked = 0; // number of the last request; earlier answers are not shown
let timer = 0;

input.setAttribute("role", "combobox");
input.setAttribute("aria-autocomplete", "list");
input.setAttribute("aria-controls", "hits");
input.setAttribute("aria-expanded", "false");

function close() {
  asked += 1;
  clearTimeout(timer);
  list.hidden = true;
  list.replaceChildren();
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function addressOf(item) {
  const words = new URLSearchParams(new FormData(form));
  words.delete("q");
  words.set("item", item);
  return `/?${words}`;
}

function text(tag, name, value) {
  const element = document.createElement(tag);
  element.className = name;
  element.dir = "auto";
  element.textContent = value;
  return element;
}

function row(hit, number) {
  const element = document.createElement("li");
  const leaves = [...new Set(hit.categories.map((path) => path.at(-1)))].join(", ");
  const facts = [hit.title && hit.item, hit.brand, leaves].filter(Boolean).join(" · ");
  element.id = `hit-${number}`;
  element.role = "option";
  element.setAttribute("aria-selected", "false");
  element.append(text("span", "name", hit.title || hit.item), text("span", "facts", facts));
  element.addEventListener("click", () => location.assign(addressOf(hit.item)));
  return element;
}

function show(hits) {
  list.replaceChildren(...hits.map(row));
  if (!hits.length) {
    const none = text("li", "none", "No item has this id or these words.");
    none.role = "presentation";
    list.append(none);
  }
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
  input.removeAttribute("aria-activedescendant");
  status.textContent = hits.length === 1 ? "1 item" : `${hits.length} items`;
}

async function search() {
  const words = input.value.trim();
  if (words.length < 2) return close(); // one letter is in most titles
  const mine = (asked += 1);
  try {
    const answer = await fetch(`/api/search?${new URLSearchParams({ q: words, k: 12 })}`);
    if (answer.ok && mine === asked) show(await answer.json());
  } catch {
    close(); // the server has stopped; Enter shows the browser's own message
  }
}

function chosen() {
  return list.querySelector('[aria-selected="true"]');
}

function choose(step) {
  const rows = [...list.querySelectorAll('[role="option"]')];
  if (!rows.length) return;
  const now = rows.indexOf(chosen());
  const next = now < 0 && step < 0 ? rows.length - 1 : (now + step + rows.length) % rows.length;
  rows.forEach((one, n) => one.setAttribute("aria-selected", String(n === next)));
  rows[next].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", rows[next].id);
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, 120);
});
input.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    choose(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && chosen()) {
    event.preventDefault();
    chosen().click();
  } else if (event.key === "Escape") {
    if (list.hidden) input.blur();
    else event.preventDefault(); // or the browser empties the field
    close();
  }
});
document.addEventListener("click", (event) => form.contains(event.target) || close());
form.addEventListener("focusout", (event) => form.contains(event.relatedTarget) || close());
list.addEventListener("mousedown", (event) => event.preventDefault()); // the field keeps the focus
window.addEventListener("pagehide", close);

// -- options ------------------------------------------------------------------------------------

const options = document.getElementById("options");
if (options) {
  options.addEventListener("change", () => options.requestSubmit());
  options.addEventListener("formdata", (event) => {
    const boxes = options.querySelectorAll('[name="show"]');
    if ([...boxes].every((box) => box.checked)) event.formData.delete("show");
    if (event.formData.get("k") === "10") event.formData.delete("k");
  });
}

// -- the same item in other lists ---------------------------------------------------------------

const rows = [...document.querySelectorAll("tr[data-item]")];

function mark(event) {
  const here = event.target.closest?.("tr[data-item]");
  const same = here ? rows.filter((one) => one.dataset.item === here.dataset.item) : [];
  for (const one of rows) one.classList.toggle("twin", same.length > 1 && same.includes(one));
}

document.addEventListener("mouseover", mark);
document.addEventListener("focusin", mark);

// -- keys ---------------------------------------------------------------------------------------

function move(down, right) {
  const tables = [...document.querySelectorAll(".list table")];
  if (!tables.length) return;
  const here = document.activeElement.closest?.(".list tr");
  let column = 0;
  let place = 0;
  if (here) {
    column = tables.indexOf(here.closest("table")) + right;
    place = [...here.parentElement.rows].indexOf(here) + down;
  }
  const body = tables[Math.min(Math.max(column, 0), tables.length - 1)].tBodies[0];
  body.rows[Math.min(Math.max(place, 0), body.rows.length - 1)].querySelector("a.name").focus();
}

const moves = { j: [1, 0], k: [-1, 0], h: [0, -1], l: [0, 1] };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input:not([type=checkbox]), select, textarea")) return;
  if (event.key === "/") {
    event.preventDefault();
    input.focus();
    input.select();
  } else if (event.key === "?") {
    document.getElementById("help").togglePopover();
  } else if (Object.hasOwn(moves, event.key)) {
    event.preventDefault();
    move(...moves[event.key]);
  }
});
