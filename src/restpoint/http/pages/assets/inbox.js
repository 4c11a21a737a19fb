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

// What somebody has typed and not sent, to be shown again where the form has gone.
function typed(root) {
  return [...root.querySelectorAll("textarea")].map((each) => each.value).filter((text) => text.trim() !== "");
}

function isFilled(root) {
  return typed(root).length > 0 || root.querySelector("input:checked") !== null || root.contains(document.activeElement);
}

async function refresh() {
  const reply = await fetch(location.href, { headers: { accept: "text/html" } });
  const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
  const now = document.getElementById("main");
  const next = fresh.getElementById("main");
  if (next === null) return;
  const form = now.querySelector("form.answer");
  if (form !== null && next.querySelector("form.answer") !== null && isFilled(form)) return; // still open, and in use
  const kept = form === null ? [] : typed(form);
  const focused = document.activeElement?.closest?.("a[href]")?.getAttribute("href");
  writeTimes(next);
  now.replaceChildren(...next.childNodes);
  if (document.title !== fresh.title) {
    document.title = fresh.title;
    say(form === null ? "The list has changed." : "This question was closed meanwhile.");
  }
  if (form !== null && now.querySelector("form.answer") === null) {
    say("This question was closed meanwhile.");
    if (kept.length > 0) keep(now, kept);
    document.getElementById("main").focus();
  }
  if (focused) [...now.querySelectorAll("a[href]")].find((each) => each.getAttribute("href") === focused)?.focus();
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
  main.querySelector(".question").append(box);
}

function follow(main) {
  const source = new EventSource(main.dataset.live);
  let waiting;
  source.addEventListener("changed", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => refresh().catch(() => {}), 100);
  });
  // A server that comes back has perhaps heard of changes that this page has not.
  let wasLost = false;
  source.addEventListener("error", () => { wasLost = true; });
  source.addEventListener("open", () => {
    main.dataset.following = "";
    if (wasLost) refresh().catch(() => {});
    wasLost = false;
  });
  addEventListener("pagehide", () => source.close());
}

writeTimes(document);
document.getElementById("summary")?.focus();
const main = document.getElementById("main");
if (main.dataset.live) follow(main);
