// The pages are whole without this script. It writes times as this browser does, and brings in what other people change.
"use strict";

const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function writeTimes(root) {
  for (const each of root.querySelectorAll("time[data-moment]")) {
    each.title = each.textContent;
    each.textContent = local.format(new Date(each.dateTime));
  }
}

function say(words) {
  const news = document.getElementById("news");
  news.textContent = words;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => { news.textContent = ""; }, 8000);
}

// --- What somebody has typed and not sent ---

// Also those that stand elsewhere on the page.
function fields(form) {
  return [...form.elements].filter((each) => each.matches("textarea, select, input:not([type=hidden])"));
}

function isChanged(field) {
  if (field.type === "radio" || field.type === "checkbox") return field.checked !== field.defaultChecked;
  if (field.tagName === "SELECT") return [...field.options].some((each) => each.selected !== each.defaultSelected && each.value !== "");
  return field.value !== field.defaultValue;
}

function typed(form) {
  const texts = fields(form).filter((each) => !["radio", "checkbox"].includes(each.type) && each.tagName !== "SELECT");
  return texts.map((each) => each.value).filter((text) => text.trim() !== "");
}

// What was sent and not taken stands in the fields again, as if the page had come with it.
function isInUse(form) {
  if ("sent" in main.dataset) return true;
  return form.contains(document.activeElement) || fields(form).some((each) => each === document.activeElement || isChanged(each));
}

function keep(main, texts) {
  const box = document.createElement("div");
  box.className = "alert";
  const heading = document.createElement("h2");
  heading.textContent = "What you had written";
  box.append(heading, ...texts.map((text) => {
    const shown = document.createElement("pre");
    shown.dir = "auto";
    shown.tabIndex = 0;
    shown.textContent = text;
    return shown;
  }));
  (main.querySelector(".question") ?? main).append(box);
}

// --- What other people change: the whole page ---

let isRefreshing = false;
let isWantedAgain = false;
let pending; // a timer
const heldBack = []; // changes of rows that came while the page was asked for

// Asks for the page again, soon: once for all that happens until then, and not at the same moment as everybody else does.
function refreshSoon() {
  main.dataset.stale = "";
  pending ??= setTimeout(() => {
    pending = undefined;
    if (!document.hidden) refresh(); // if nobody looks, it is brought in when somebody does
  }, 100 + 300 * Math.random());
}

async function refresh() {
  if (isRefreshing) {
    isWantedAgain = true;
    return;
  }
  isRefreshing = true;
  delete main.dataset.stale;
  try {
    await bringIn();
  } catch {
    main.dataset.stale = ""; // the server is not reached; its stream ends too, and begins again when it is
  } finally {
    isRefreshing = false;
    heldBack.splice(0).forEach(changeRows);
  }
  if (isWantedAgain) {
    isWantedAgain = false;
    refreshSoon();
  }
}

async function bringIn() {
  // A page that was made by a form has another address than the page that it shows.
  const reply = await fetch(main.dataset.page ?? location.href, { headers: { accept: "text/html" } });
  if (reply.status === 401) return signedOut();
  if (reply.status >= 500) throw new Error("The server cannot answer now.");
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  const next = fresh.getElementById("main");
  if (next === null) return;
  const forms = [...main.querySelectorAll("form[method=post]")];
  const isOpen = next.querySelector("form.answer") !== null;
  const wasOpen = main.querySelector("form.answer") !== null;
  if (forms.some(isInUse) && (isOpen || !wasOpen)) return; // still open, and in use
  const kept = wasOpen ? forms.filter(isInUse).flatMap(typed) : [];
  const focused = main.contains(document.activeElement) ? nameOf(document.activeElement) : "";
  const unfolded = [...main.querySelectorAll("details[open] > summary")].map(nameOf);
  writeTimes(next);
  main.replaceChildren(...next.childNodes);
  delete main.dataset.sent;
  if (document.title !== fresh.title) {
    document.title = fresh.title;
    say(wasOpen ? "This question has changed." : "The page has changed.");
  }
  if (wasOpen && !isOpen) {
    say("This question is no longer open for you.");
    if (kept.length > 0) keep(main, kept);
    main.focus();
  }
  for (const each of main.querySelectorAll("summary")) each.parentElement.open ||= unfolded.includes(nameOf(each));
  [...main.querySelectorAll("a[href], summary, button")].find((each) => nameOf(each) === focused)?.focus();
}

function nameOf(element) {
  return `${element.tagName} ${element.getAttribute("href") ?? element.textContent}`;
}

// --- What other people change: rows of the inbox ---

const FEW_ROWS = 25; // where a list has fewer, and there are more, it is filled up

function changeRows(change) {
  if (isRefreshing) {
    heldBack.push(change);
    return;
  }
  const list = document.getElementById("waiting");
  if (list === null) return refreshSoon();
  const before = list.children.length;
  change.gone.forEach((key) => takeRow(list, key));
  change.rows.forEach((html) => putRow(list, html));
  const count = list.children.length;
  if (count < FEW_ROWS && "more" in list.dataset) refreshSoon();
  if (count === before) return;
  const shown = `${count}${"more" in list.dataset || "later" in list.dataset ? "+" : ""}`;
  const badge = document.querySelector("h1 .count");
  badge.textContent = shown;
  badge.hidden = list.hidden = count === 0;
  document.getElementById("nothing").hidden = count > 0 || "more" in list.dataset;
  document.title = `${count === 0 ? "" : `(${shown}) `}${document.title.replace(/^\(\d+\+?\) /, "")}`;
  say("The page has changed.");
}

function rowOf(list, key) {
  return [...list.children].find((each) => each.dataset.key === key);
}

function takeRow(list, key) {
  const row = rowOf(list, key);
  if (row === undefined) return;
  const hadFocus = row.contains(document.activeElement);
  const neighbour = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  if (hadFocus) (neighbour?.querySelector("a[href]") ?? main).focus();
}

function putRow(list, html) {
  const row = new DOMParser().parseFromString(html, "text/html").querySelector("li");
  writeTimes(row);
  const known = rowOf(list, row.dataset.key);
  if (known !== undefined) {
    const hadFocus = known.contains(document.activeElement);
    known.replaceWith(row);
    if (hadFocus) row.querySelector("a[href]").focus();
    return;
  }
  if ("workflow" in list.dataset && list.dataset.workflow !== row.dataset.workflow) return;
  const next = [...list.children].find((each) => isBefore(row, each));
  const isOnAnotherPage = next === undefined ? "more" in list.dataset : next === list.firstElementChild && "later" in list.dataset;
  if (!isOnAnotherPage) list.insertBefore(row, next ?? null);
}

function isBefore(row, other) {
  const [mine, theirs] = [row, other].map((each) => each.dataset.order.replace("inf", "Infinity").split(" ").map(Number));
  const place = mine.findIndex((number, index) => number !== theirs[index]);
  return place !== -1 && mine[place] < theirs[place];
}

// A note at the top, which leaves everything else on the page as it is.
function note(words, link) {
  document.getElementById("ended")?.remove();
  if (words === "") return;
  const box = document.createElement("div");
  box.className = "alert late";
  box.id = "ended";
  box.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = words;
  box.append(text);
  if (link) {
    const sign = document.createElement("a");
    sign.href = link;
    sign.target = "_blank";
    sign.textContent = "Sign in (in a new tab)";
    box.append(sign);
  }
  document.getElementById("main").prepend(box);
}

function signedOut() {
  note("You are signed out. What you have typed stays here: sign in again in another tab, then go on.", main.dataset.signIn);
}

function follow(wasLost = false) {
  const source = new EventSource(main.dataset.live);
  source.addEventListener("changed", refreshSoon);
  source.addEventListener("rows", (event) => changeRows(JSON.parse(event.data)));
  source.addEventListener("error", (event) => {
    wasLost = true;
    if (event.data || source.readyState === EventSource.CLOSED) {
      source.close();
      delete main.dataset.following;
      whyEnded(again).catch(() => note("This page does not change by itself any more. Reload it.", null));
    }
  });
  source.addEventListener("open", () => {
    main.dataset.following = "";
    note("", null);
    // A server that comes back has perhaps heard of changes that this page has not.
    if (wasLost) refreshSoon();
    wasLost = false;
  });
  const seen = () => {
    if (document.hidden) return;
    if (source.readyState === EventSource.CLOSED) again();
    else if ("stale" in main.dataset) refresh();
  };
  const again = () => {
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("focus", seen);
    follow(true);
  };
  document.addEventListener("visibilitychange", seen);
  addEventListener("focus", seen);
  addEventListener("pagehide", () => source.close());
}

// Why the server has ended the stream, which a stream that is refused does not tell.
async function whyEnded(again) {
  const reply = await fetch(main.dataset.live, { method: "HEAD" });
  if (reply.ok) setTimeout(again, 5000);
  else if (reply.status === 401) signedOut();
  else await refresh();
}

writeTimes(document);
document.getElementById("summary")?.focus();
const main = document.getElementById("main");
if (main.dataset.live) follow();
