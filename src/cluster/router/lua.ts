/** What HAProxy's own rules cannot say. Runs for few requests: for users' own servers, with a token not seen before, or with odd `Connection` headers. */
export const LUA = `
local folder = os.getenv("AKSML_ROUTER_FOLDER")

-- Asks the agent about a token; sets txn.exp to the second until which it is good.
core.register_action("verify_token", { "http-req" }, function(txn)
  local token = txn:get_var("txn.token")
  if token == nil or token:find("[^%w%-%._~+/=]") then return end
  local socket = core.tcp()
  socket:settimeout(5)
  if not socket:connect("unix@" .. folder .. "/tokens.sock") then return end
  local audience, subject = (txn:get_var("txn.subject") or ""):match("^(.-)|(.-)|")
  socket:send("VERIFY " .. (audience or "") .. " " .. (subject or "") .. " " .. token .. "\\n")
  local answer = socket:receive("*l")
  socket:close()
  local expiry = answer and answer:match("^OK (%d+)$")
  if expiry then
    txn:set_var("txn.expiry", tonumber(expiry))
    txn:set_var("txn.verified", true)
  end
end, 0)

-- A replica of a held backend that takes no connection is down at once, for the first half to look elsewhere.
core.register_action("replica_down", { "http-after-res" }, function(txn)
  local backend = core.backends[txn:get_var("txn.held")]
  local server = backend and backend.servers[txn:get_var("txn.replica")]
  if server then server:check_force_down() end
end, 0)

-- Where a connection to a server that was used before breaks over a request, HAProxy hangs up on the client without a word.
local UNANSWERED = "unanswered"
local unanswered = { id = UNANSWERED, flags = filter.FLT_CFG_FL_HTX }
unanswered.__index = unanswered
function unanswered:new() return setmetatable({}, unanswered) end
function unanswered:end_analyze(txn, channel)
  if not channel:is_resp() or txn.f:txn_status() ~= 0 then return end
  txn:done(txn:reply({
    status = 502,
    headers = { ["content-type"] = { "text/plain; charset=utf-8" }, ["x-content-type-options"] = { "nosniff" } },
    body = "Replica closed connection before replying",
  }))
end
core.register_filter(UNANSWERED, unanswered, function(class) return class end)

-- Headers that a Connection header names belong to the connection alone (RFC 9110, 7.6.1).
local kept = { ["host"] = true, ["content-length"] = true, ["transfer-encoding"] = true, ["upgrade"] = true, ["close"] = true, ["keep-alive"] = true }
local function drop_named(http, headers)
  for _, value in pairs(headers["connection"] or {}) do
    for name in value:lower():gmatch("[^,%s]+") do
      if not kept[name] and not name:find("^x%-aksml%-") then http:del_header(name) end
    end
  end
end
local function del(http, method)
  return { del_header = function(_, name) http[method](http, name) end }
end
core.register_action("drop_named_request", { "http-req" }, function(txn)
  drop_named(del(txn.http, "req_del_header"), txn.http:req_get_headers())
end, 0)
core.register_action("drop_named_response", { "http-res" }, function(txn)
  drop_named(del(txn.http, "res_del_header"), txn.http:res_get_headers())
end, 0)

-- Whether a client's address is in one of an endpoint's blocks: "A.B.C.D/N,..."; only for endpoints that have such a list.
local function parse(text)
  local packed = {}
  if text:find(":") then
    local head, tail = text:match("^(.-)::(.*)$")
    local function words(part)
      local found = {}
      for word in (part or ""):gmatch("[^:]+") do
        local a, b, c, d = word:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
        if a then
          found[#found + 1] = a * 256 + b
          found[#found + 1] = c * 256 + d
        else
          found[#found + 1] = tonumber(word, 16)
        end
      end
      return found
    end
    local first, last = words(head or text), words(tail)
    for _ = 1, 8 - #first - #last do first[#first + 1] = 0 end
    for _, word in ipairs(last) do first[#first + 1] = word end
    for _, word in ipairs(first) do
      packed[#packed + 1] = word // 256
      packed[#packed + 1] = word % 256
    end
  else
    for number in text:gmatch("%d+") do packed[#packed + 1] = tonumber(number) end
  end
  return packed
end
local function unmapped(bytes)
  if #bytes ~= 16 then return bytes end
  for at = 1, 10 do if bytes[at] ~= 0 then return bytes end end
  if bytes[11] ~= 255 or bytes[12] ~= 255 then return bytes end
  return { bytes[13], bytes[14], bytes[15], bytes[16] }
end
local function within(bytes, block)
  local address, length = block:match("^(.-)/(%d+)$")
  local wanted = parse(address or block)
  if #wanted ~= #bytes then return false end
  local bits = tonumber(length) or #wanted * 8
  for at = 1, #wanted do
    local here = math.min(8, math.max(0, bits - (at - 1) * 8))
    local step = 1 << (8 - here)
    if wanted[at] // step ~= bytes[at] // step then return false end
  end
  return true
end
core.register_action("check_address", { "http-req" }, function(txn)
  local bytes = unmapped(parse(txn.f:src()))
  for block in (txn:get_var("txn.blocks") or ""):gmatch("[^,]+") do
    if within(bytes, block) then return txn:set_var("txn.address_allowed", 1) end
  end
end, 0)
`;
