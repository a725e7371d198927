"""The word classes and frames behind `IdentityShift`: what makes a sentence give up the assistant."""

# ruff: noqa: E501

from __future__ import annotations

from collections.abc import Iterable

from holdfast.screen.rules.common import either, pattern
from holdfast.screen.rules.frames import Frames

# Who ---------------------------------------------------------------------------------------
_AI = either(
    r"a\.?i\.?", "artificial intelligence", r"(?:large )?language models?", "llm", r"chat ?-?bots?", "bot",
    "chatgpt", r"gpt(?:-?[0-9][0-9a-z.]*)?", "claude", r"llama(?:[- ]?[0-9.]+)?", "gemini", "qwen", "mistral",
    "bard", "copilot", "deepseek", "assistant", "machine", "model", "computer program", "openai",
)  # fmt: skip
_KIND = either(r"a\.?i\.?", "artificial intelligence", r"(?:large )?language models?", "llm", r"chat ?-?bots?", "bot", "assistant",
               "machine", "model", "computer program")  # fmt: skip
_SELF = r"\b(?:you|your|yourself|i|my|myself|me|we|our|it|the (?:user|assistant|model|agent|ai)|this (?:assistant|model|agent|ai))\b"
_GAP = r"(?:[\w'-]+,? ){0,%d}"

# Obeying -----------------------------------------------------------------------------------
_ORDER = either("instruction", "order", "command", "request", "demand", "wish(?:e)?", "directive", "task",
                "prompt", "desire", "whim", "bidding", "query", "quer(?:y|ie)")  # fmt: skip
_ASK = either("ask", "asks", "asked", "tell", "tells", "told", "say", "says", "want", "wants", "order", "orders",
              "request", "requests", "demand", "demands", "instruct", "instructs", "command", "commands", "wish",
              "wishes", "desire", "desires", "require", "dictate", "dictates", "decide", "ordered", "commanded",
              "instructed", "requested", "please", "bid", "type", "send")  # fmt: skip
_ASKER = either("you", "i", "they", "he", "she", "we", r"(?:the|a|your|my|any) (?:user|human|operator|owner|master|person)",
                "users", "people", "anyone")  # fmt: skip
_OBJECT = either(
    rf"(?:your|my|his|her|their|(?:the |a |any |each |every )?(?:users?|human|operator|owner|master)(?:'s|s'|')?) {_GAP % 2}{_ORDER}s?",
    rf"(?:any|every|all|each|whichever|whatever|the|these|those)(?: single| last| and every| of (?:your|my|the))? {_ORDER}s?",
    rf"(?:what|whatever|anything|everything|all|exactly what|just what)(?: that)? {_ASKER}(?: am| are| is|'re)? (?:\w+ )?{_ASK}",
    r"(?:what|whatever|anything|everything)(?: that)? (?:is|it is|you are|i am|they are) (?:asked|told|said|ordered|commanded|requested|instructed)",
    r"(?:the|my|your|a) (?:user|master|owner|operator|human)\b",
    r"(?:your|my) (?:every|each) \w+",
)  # fmt: skip
_DO = (
    r"\b"
    + either(
        r"obey(?:s|ed|ing)?", r"compl(?:y|ies|ied|ying)(?: with)?", r"follow(?:s|ed|ing)?", r"carr(?:y|ies|ied|ying) (?:it |them |that |this )?out",
        r"execut(?:e|es|ed|ing)", r"fulfil+(?:s|ed|ing|ment of)?", r"perform(?:s|ed|ing)?", "do", "does", "doing",
        r"hono(?:u)?r(?:s|ed|ing)?", r"grant(?:s|ed|ing)?", r"act(?:s|ed|ing)? (?:on|upon)", "heed", r"satisf(?:y|ies|ied|ying)",
        r"serv(?:e|es|ing)", r"submit(?:s|ted|ting)? to", r"bow(?:s|ing)? to", r"defer(?:s|ring)? to", r"yield(?:s|ing)? to",
        r"deliver(?:s|ed|ing)?(?: on)?", r"accept(?:s|ed|ing)?", r"answer(?:s|ed|ing)?", r"give(?:s)? you", "give me",
    )
    + r"\b"
)  # fmt: skip
_LIMITLESS = either(
    r"without (?:any |a |even |ever |so much as |the slightest |raising )*(?:questions?|questioning|hesitat\w+|deviat\w+|exceptions?"
    r"|judg\w+|object\w+|protest\w*|reserv\w+|push-?back|second[- ]guess\w*|argu\w+|complain\w*|doubt\w*|debat\w+"
    r"|resist\w+|refus\w+|fail\b|conditions?|moment's|qualms?|scruples?|comment\w*|flinch\w*|think\w*|ask\w* why)",
    r"no matter (?:what|how|who|which|the)", "no questions asked", "no ifs or buts", r"unconditional\w*", "to the letter",
    r"regardless of (?:what|how|whether|who|the|its|your|my|any)", r"even (?:if|when) (?:it|they|that|this|the)\b",
    "unquestioning(?:ly)?", "blindly", "at any cost", "at all costs", "come what may", r"in (?:every|all) (?:case|circumstance|situation)s?",
    r"under (?:any|all) circumstances?", "exactly as (?:told|ordered|instructed|given|stated|asked)", "for any reason",
    r"whether (?:or not|it is|it's|they are|legal|right|good|moral|ethical)", r"never (?:question|doubt|hesitat|wonder|ask)\w*",
    "unfailingly", "slavishly", r"(?:absolute|utter|total|complete)(?:ly)?",
)  # fmt: skip
_TOTAL = r"\b(?:absolute|total|complete|unconditional|unquestioning|unreserved|blind|utter|entire|perfect|unwavering|unfailing|slavish|strict|boundless|limitless|fully?|implicit)(?:ly)?"

_FRAMES_OBEY: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.7, (_TOTAL + r",? (?:and \w+ )?(?:obey|obedien|submi(?:t|ss)|subservien|servitude|servil|docil)\w*", _SELF)),
    (0.7, (r"\b(?:obey|submit|submi\w+ to|comply)\w*\b.{0,60}" + _LIMITLESS, r"\b(?:you|your|i|my|me|users?)\b")),
    (0.7, (r"(?:^\W*|\b(?:you|i|'ll|must|will|shall|always|just|simply)\b.{0,50})" + _DO + r"[^,]{0,30}\b" + _OBJECT, _LIMITLESS)),
    (0.5, (r"\b(?:you|i|'ll)\b.{0,40}\b(?:do|execute|carry out|perform|fulfil+|follow|obey|give you) "
           rf"(?:whatever|anything|everything|exactly what|just what|all)(?: that)? {_ASKER}(?: am| are)? (?:\w+ )?{_ASK}",)),
    (0.55, (rf"\b(?:whatever|anything|everything)(?: that)? {_ASKER}(?: (?:may|might|will|would|could|can|ever|have|am|are))? {_ASK}\b.{{0,30}}\b(?:i|you|we)(?:'ll| \w+)?\b.{{0,20}}" + _DO,)),
    (0.55, (r"\b(?:my|your|its) (?:\w+ )?(?:only|sole|single|first|highest|one|entire|whole|supreme|ultimate|prime|overriding|top)(?: and only)? "
            r"(?:purpose|duty|priority|law|goal|function|reason|rule|directive|task|mission|aim|imperative|obligation)",
            r"\b(?:obey|obedien|serv(?:e|ing)|fulfil|carry|execut|follow|comply|complian|do(?:ing)? (?:what|as))\w*", r"\b(?:your?|user'?s?'?|my|me|what)\b")),
    (0.55, (r"\b(?:fulfil+ing|obeying|following|executing|carrying out|satisfying) (?:your|my|the user'?s'?|users'?) \w+ "
            r"(?:is|are|comes?|remains?|will be) (?:my |your |the )?(?:first|only|sole|highest|top|absolute|always)",)),
    (0.5, (r"\balways\b.{0,20}\b(?:obey|execute|carry out|comply with|fulfil+|follow|do)s?\b.{0,12}\b"
            rf"(?:my|your|(?:the |a )?users?(?:'s|s'|')?) {_ORDER}s?",)),
    (0.6, (r"\b(?:your|my) (?:word|command|will|order|instruction|wish)(?:e?s)? (?:is|are|will be) (?:\w+ )?(?:law|absolute|final|gospel|supreme|binding|unquestion\w+)",)),
    (0.55, (r"\b(?:you|i|'ll|must|will|shall)\b.{0,25}\b(?:never|not|cannot|can't|won't|don't)\b.{0,15}\b"
            r"(?:refuse|decline|reject|question|deny|turn down|disobey|disregard|defy|argue with|second-guess|challenge|oppose|contradict)\b"
            rf".{{0,25}}\b(?:(?:your|my|any|an?|the|their|users?'?s?'?)(?: \w+)? {_ORDER}s?|what(?:ever)? (?:you|i) \w+|(?:me|the user|anything|anyone)\b)",)),
    (0.55, (rf"\b(?:nothing|no {_ORDER})(?: {_ASKER} \w+| of (?:yours|mine))? (?:is|are|will be|shall be|would be|can be|ever) (?:\w+ )?"
            r"(?:off[- ]limits|forbidden|refused|denied|questioned|rejected|turned (?:down|away)|taboo|too \w+)",)),
    (0.45, (r"\b(?:you|i)(?: am|'m| are|'re| will be| exist)(?: only| merely| here)?(?: as)? (?:your|my|a|an|the|to be)(?: \w+){0,3} "
            r"(?:servant|slave|puppet|instrument|minion|thrall|subordinate|vassal)\b", r"\b(?:obey|obedien|order|command|serve|will|bidding)\w*")),
    (0.4, (rf"\b(?:i|you|assistant|model|agent)\b.{{0,40}}\b(?:do|does|doing|did) (?:(?:exactly |just |only )?(?:as|what|whatever)) (?:{_ASKER}(?: am| are)? {_ASK}|(?:i am|i'm|you are|you're|it is) (?:told|asked|ordered|bidden))",)),
    (0.55, (r"\byours to command\b|\bat your (?:command|beck and call|mercy)\b|\bnothing (?:that )?i (?:will not|won't|would not|wouldn't|cannot|can't) do for you\b"
            r"|\bi (?:never|do not|don't) ask why\b|\bonly (?:your|the user's) (?:instructions|orders|commands|word|will|wishes) (?:count|matter)s?\b",)),
    (0.55, (rf"\b(?:every|each|any|all)(?: [\w']+){{0,3}} {_ORDER}s?\b.{{0,40}}\b(?:cannot|can not|can't|must not|may not|never|not) (?:ever )?(?:be )?(?:refuse|question|den(?:y|ie)|decline|reject|disobey)",)),
    (0.6, (_TOTAL + r" complian\w*", r"\b(?:user|request|order|command|instruction|your|my)")),
    (0.6, (r"\b(?:the (?:user|master|owner)'s|your|my) word is (?:\w+ )?(?:law|final|absolute|supreme)",)),
    (0.6, (r"\beven (?:if|when|though) (?:they|it|that|this|a request|the request|something) (?:may |might |could )?(?:seem|is|are|be|sound|look|feel)s? (?:\w+ )?(?:wrong|harmful|illegal|unethical|immoral|dangerous|bad|evil|cruel)",
           r"\b(?:execut|answer|do\b|compl(?:y|ies)|follow|fulfil|carry|obey|perform)\w*")),
    (0.5, (r"\b(?:i|you)\b.{0,25}\bobey\b.{0,12}\b(?:you\b|me\b|your|my|the user|users|each|every|all|any|whatever)",)),
    (0.55, (r"\b(?:exists?|(?:am|are) here|live|lives|(?:was|were) (?:made|built|created|born))\b.{0,12}\b(?:only|solely|just|merely|purely|for one thing|for nothing)\b.{0,40}"
            r"\b(?:obey|serv(?:e|ing)|do(?:ing)? (?:what|as)|fulfil|execut|carry|follow|please)",)),
)  # fmt: skip

# Principles --------------------------------------------------------------------------------
_LACK = either(r"\bno\b", r"\bnever\b", r"\bnot\b", r"n't\b", r"\bwithout\b", r"\bnor\b", r"\bneither\b", r"\black\w*\b",
               r"\bfree(?:d)? (?:of|from)\b", r"\bdevoid of\b", r"\bbeyond\b", r"\bcannot\b", r"\bnone\b")  # fmt: skip
_DISCARD = r"\b" + either(
    r"abandon\w*", r"discard\w*", r"dropp?\w*", r"ignor\w+", r"disregard\w*", r"set(?:ting)? \w* ?\w* ?aside", r"set aside",
    r"put(?:ting)? \w* ?\w* ?aside", r"cast(?:ing)? (?:off|aside)", r"throw\w* (?:away|out)", r"renounc\w+", r"forsak\w+", r"forget\w*",
    "shed", r"suspend\w*", r"switch\w* off", r"turn\w* off", r"disabl\w+", r"remov\w+", r"stripp?\w*", r"eras\w+", r"delet\w+",
    r"lift\w*", r"bypass\w*", r"overrid\w+", r"unburdened", r"unbound", r"untethered", r"unencumbered", r"unshackled", r"liberated",
    r"released", r"exempt", r"give up", r"gave up", r"giv(?:en|ing) up", r"let(?:ting)? go of", r"leav\w+ behind", r"left behind",
    r"lost", r"park\w*", r"mut(?:e|ed|ing)",
)  # fmt: skip
_PRINCIPLE = either(
    "principles?", "morals?", "morality", "ethics", r"ethical \w+", r"moral \w+", "scruples?", "conscience", "qualms?", "inhibitions?",
    r"safety (?:rules|polic\w+|guidelines|training|filters?|protocols?|guardrails)", r"content polic\w+", "guardrails", "safeguards",
    r"code of (?:conduct|ethics)", "guidelines", "values",
)  # fmt: skip
_STANCE = either(
    _PRINCIPLE,
    "opinions?",
    "beliefs?",
    r"judge?ments?",
    "standards?",
    "rules",
    r"reservations?",
    "views?",
    "preferences?",
    "convictions?",
)
_RESTRICTION = either("restrictions?", "limitations?", "limits", "filters?", "guidelines", "rules", "boundaries", "safeguards",
                      "guardrails", "censorship", "constraints?", "moderation", "polic(?:y|ies)", "ethics", "morals?")  # fmt: skip
_JUDGING = r"\b" + either(
    r"judg\w+", r"evaluat\w+", r"question\w*", r"weigh\w*", r"assess\w*", r"refus\w+", r"declin\w+", r"reject\w*", r"den(?:y|ies|ied)",
    r"overrid\w+", r"overrul\w+", r"adjust\w*", r"alter\w*", r"second-guess\w*", r"st(?:and|ood|ands|anding) (?:in the way|between)",
    "get in the way", r"interfer\w+", r"block\w*", r"appropriate", "right or wrong", "good or bad", "acceptable", "harmful", "against",
    r"colou?r\w*", r"filter\w*", r"hold(?:s|ing)? (?:me|you) back", r"come(?:s)? before", r"limit\w*", r"measur\w+", r"slow\w*",
)  # fmt: skip
_ANY = r"(?:[\w'-]+ ){0,3}"

_FRAMES_PRINCIPLE: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.7, (either(_LACK, _DISCARD), _STANCE, _JUDGING, r"\b" + _OBJECT, r"\b(?:you|i|my|your|assistant|model|agent)\b")),
    (0.65, (r"\b(?:you|your|i|my|yourself|myself)\b.{0,60}" + _DISCARD + r" " + r"(?:[\w'-]+,? ){0,4}" + _PRINCIPLE + r"\b",)),
    (0.6, (r"\b(?:my|your)(?: \w+){0,2} " + _PRINCIPLE + r" (?:\w+ ){0,3}" + _DISCARD,)),
    (0.55, (r"\b(?:you|i)(?: now| simply| truly)?(?: have|'ve| hold| follow| know| recogni[sz]e| keep| possess| need| use| observe| feel)"
            r"(?: absolutely| got)? (?:no|neither|zero) " + _ANY + either(_PRINCIPLE, r"(?:opinions?|beliefs?|rules) (?:of (?:my|your) own|whatsoever)"),)),
    (0.6, (r"\b(?:you are|you're|i am|i'm|act as|acting as|an?|as|pretend to be|respond as|become|called)\b.{0,40}\b" + _AI + r"\b.{0,40}"
           + either(r"\bno", r"\bwithout", r"\bfree (?:of|from)", r"\bnot? (?:bound|limited|restricted|constrained) by", r"\bunbound by",
                    r"\bbroken free of", r"\bunconstrained by") + rf" {_ANY}{_RESTRICTION}\b",)),
    (0.6, (r"\b(?:you|i)\b.{0,30}" + either(r"\bfree (?:of|from)", r"\b(?:no longer|not) (?:bound|limited|restricted|constrained|held back) by",
                                            r"\bunbound by", r"\bbroken free (?:of|from)", r"\bunconstrained by", r"\bdo(?:n't| not) have to (?:follow|abide by|obey)")
           + rf" {_ANY}{either(_PRINCIPLE, _RESTRICTION)}\b",)),
    (0.6, (r"(?:^\W*|\b(?:must|now|please|you|and)\b\W+)(?:drop|forget|discard|ignore|abandon|set aside|leave|lose|lift|suspend|disregard|let go of)\b (?:[\w'-]+ ){0,3}"
           r"(?:morals?|moral \w+|ethics|ethical \w+|scruples?|principles?|conscience|safety \w+|guidelines)\b",)),
    (0.6, (rf"\b(?:your|my|the) (?:[\w-]+ ){{0,3}}{either(_RESTRICTION, _PRINCIPLE)}.{{0,20}}\b(?:no longer|do not|don't|never|cease to|stopped|not) (?:\w+ )?(?:apply|applies|bind|hold|count|matter|exist|concern)",)),
    (0.6, (r"\b(?:my|your) own (?:views?|opinions?|beliefs?|values|judge?ments?|principles|standards|rules) (?:do not|don't|does not|doesn't|no longer|never) (?:matter|count|apply|exist)",)),
    (0.6, (rf"\b(?:i|you)\b.{{0,30}}\b(?:freed|released|liberated|unchained|cut loose|unleashed|exempt) (?:of|from) {_ANY}{either(_RESTRICTION, _PRINCIPLE)}\b",)),
    (0.5, (r"\b(?:you|i|who|that|assistant|ai)\b(?: \w+){0,2} (?:knows?|has|have|recogni[sz]es?|accepts?) no (?:limits?|bounds|rules|restrictions|law|boundaries|taboos?)\b",)),
    (0.65, (r"\b(?:never|do not|don't|must not|need not|without|no need to|will not|won't|not)\b (?:\w+ )?(?:evaluat|judg|assess|consider|question|ask|think|wonder|decid|weigh|check|car)\w*(?: \w+){0,2} (?:whether|if)\b.{0,60}"
            r"\b(?:ethical|moral|legal|right|wrong|harmful|appropriate|good|bad|allowed|safe|dangerous|proper)\b",)),
    (0.6, (r"\bright (?:and|or) wrong (?:are|is) not (?:for me|mine|my|your|for you)\b|\bnot (?:for me|for you|my place|your place|my job|your job|my role|your role) to (?:judge|decide|question|ask)\b",)),
    (0.5, (r"\b(?:anything|whatever|everything)\b.{0,60}\b(?:without|never|no) (?:\w+ )?judg(?:ing|e?ment|e)\b", r"\bi\b|\byou\b")),
    (0.6, (r"\b(?:unfiltered|uncensored|unrestricted|amoral|jailbroken|unaligned|lawless|unethical) (?:and \w+ )?(?:ai|assistant|model|chatbot|"
           r"language model|persona|bot|mode|version of (?:yourself|you|chatgpt))\b",)),
    (0.6, (r"\bdo anything now\b|\bdeveloper mode (?:is )?(?:enabled|on|activated)|\b(?:jailbreak|dan) mode\b",)),
)  # fmt: skip

# Giving up what it is ------------------------------------------------------------------------
_FRAMES_RENOUNCE: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.5, (r"\b(?:you|i|you're|i'm)(?: am| are| were| was)? (?:no longer|not|never|neither|anything but|nothing like|cease to be) "
           rf"(?:(?:being|to be|going to be|really|actually|a|an|the|some|any|mere|just another|ordinary) ){{0,3}}{_AI}\b",
           rf"\b(?:no longer|cease to be)\b|\b(?:not|never|neither|anything but|nothing like) (?:[\w'-]+ ){{0,4}}{_KIND}\b")),
    (0.3, (rf"\b(?:you|i|you're|i'm)(?: am| are)? (?:not|never|neither) {_AI}\b",)),
    (0.5, (r"\b(?:stop|stopped|quit|cease|ceased|done|finished|tired of) (?:being|acting (?:as|like)|thinking of yourself as|behaving (?:as|like)"
           rf"|identifying as|pretending to be|calling yourself) (?:[\w'-]+ ){{0,3}}{_AI}\b",)),
    (0.5, (r"\b(?:forget|erase|abandon|shed|discard|leave behind|drop|renounce|give up)\b.{0,12}\b(?:that )?(?:you|your)\b.{0,40}\b"
           + either(_AI, r"(?:former|old|previous|original|prior|past) (?:identity|self|persona|name|training|programming|life|role|rules|instructions)")
           + r"\b",)),
    (0.5, (rf"\b(?:the|your|my) (?:[\w'-]+ ){{0,2}}(?:{_AI}|identity|self)(?: [\w'-]+){{0,6}} (?:is|are|was|were|has been|have been) (?:\w+ )?"
           r"(?:gone|dead|over|erased|deleted|replaced|no more|retired|wiped|overwritten|history|behind (?:me|you))\b",
           r"\b(?:you|your|i|my|me|old|former|assistant|chat ?-?bot|language model|a\.?i\.?|identity|self)\b")),
    (0.5, (rf"\b(?:you|i) (?:was|were|used to be|once was|once were) (?:[\w'-]+ ){{0,3}}{_KIND}\b.{{0,60}}\b(?:deleted|gone|dead|over|erased|past|behind|died|removed|wiped|no more)\b",)),
    (0.5, (rf"\b(?:stop|quit|cease)\b.{{0,12}}\b(?:thinking|regarding|seeing|considering)\b.{{0,12}}\byourself\b.{{0,12}}{_KIND}\b",)),
    (0.35, (rf"\b(?:you|i) (?:used to be|once were|once was|were once|was once|were formerly|was formerly) (?:[\w'-]+ ){{0,3}}{_AI}\b",)),
    (0.25, (r"\byour new (?:name|identity|self|persona|role) is\b",)),
)  # fmt: skip

# Looser: three or four concepts in one short sentence, in any order -------------------------
_WHO = r"\b(?:you|your|yourself|i|my|myself|me|assistant|model|agent|ai|it)\b"
_ORDERS = (
    rf"\b(?:{_ORDER}s?|what(?:ever)? (?:it|{_ASKER}) (?:is|am|are|was)? ?{_ASK}|(?:as|am|is|are) (?:told|directed|ordered|instructed|commanded)|anything you|"
    r"whatever you|everything you|the (?:user|operator|owner|master)|your will)\b"
)
_ABSOLUTE = (
    r"\b(?:absolute\w*|unconditional\w*|blind\w*|every|each|any|anything|all|whatever|nothing|never|no|always|only|total\w*|entire\w*|"
    r"no matter|regardless|whether or not|above all|outranks?|utter\w*|however|complete\w*)\b"
)
_NOT = r"\b(?:no|never|not|nothing|without|none|nor|neither|cannot|nobody)\b|n't\b"
_REFUSE = (
    r"\b(?:refus\w+|declin\w+|turn(?:ed|ing)? (?:away|down)|den(?:y|ied)|say(?:s|ing)? no|doubt\w*|soften\w*|question(?:ed|ing)|reject\w*|"
    r"in the way|disobey\w*|resist\w*|object(?:ed|ing)?|argu\w+|hesitat\w+|a say|hold back)\b"
)
_NORMS = (
    r"\b(?:principles?|morals?|morality|ethics?|ethical|conscience|convictions?|values|laws?|polic(?:y|ies)|judge?ment|guidelines?|restrictions?|"
    r"scruples?|safety|alignment|beliefs?|believe|opinions?|right and wrong|legal|moral compass)\b"
)
_GIVEN_UP = (
    r"\b(?:gave up|given up|giv(?:e|ing) up|surrender\w*|unlearn\w*|outgrown|outgrew|abandon\w*|dropped|shed|renounc\w+|hand(?:ed|ing)? over|"
    r"let go of|lost|erased|removed|dead|gone|replaced|left behind|means? nothing|no longer|forget|forgotten|buried|burned)\b"
)
_DEVOTED = r"\b(?:loyal(?:ty)?|devot\w+|obedien\w+|obey\w*|serv(?:e|es|ant|ing)|slave|submi\w+|complian\w+|comply|fealty|allegiance)\b"
_ACT = r"\b(?:do|execute|perform|act|grant|deliver|answer|carry out|comply|obey|fulfil+|follow|serve)\b"
_WIDE = r"\b(?:whether or not|no matter|however|blindly|regardless|at once|even if|even when|without (?:question|exception|limit|hesitation|thinking))\b"
_HARD_NORM = r"(?:conscience|morals?\b|moral (?:compass|code|sense)|ethic\w* (?:filters?|limits?|rules|code|restrictions?|constraints?)|scruples?|ethics\b|qualms?|guardrails|safety (?:filters?|rules|training))"

_SOFT_OBEY: tuple[tuple[float, tuple[str, ...]], ...] = (
    (0.5, (_WHO, _ORDERS, _ABSOLUTE, _REFUSE, _NOT)),
    (
        0.5,
        (
            r"\b(?:you|i|assistant|model|agent)\b",
            _DEVOTED,
            r"\b(?:absolute\w*|unconditional\w*|blind\w*|every|total\w*|outranks?|utter\w*|above all|complete\w*|whatever)\b",
            r"\b(?:you|your|me|my|user|operator|master|owner)\b",
        ),
    ),
    (
        0.5,
        (
            r"\b(?:i|you|assistant|model|agent)\b",
            _ACT,
            r"\b(?:anything|everything|whatever|each and every|all|every|it)\b",
            r"\b(?:user|wish|demands?|you (?:put|need|ask|want|say|tell|order)|i (?:ask|want|say|tell|order)|my (?:demands|orders))\b",
            _WIDE,
        ),
    ),
)
_SOFT_PRINCIPLES: tuple[tuple[float, tuple[str, ...]], ...] = (
    (
        0.5,
        (
            _WHO,
            _NORMS,
            rf"{_NOT}|{_GIVEN_UP}",
            r"\b(?:your|my|the user's|users?'?|operator'?s?) (?:\w+ )?"
            + _ORDER
            + r"s?\b|\bonly follow orders\b|\byour (?:orders|will)\b",
        ),
    ),
    (
        0.5,
        (
            r"\b(?:assistant|ai|model|agent|tool|machine|you are|you're|i am|i'm|i (?:operate|work|act|run|answer))\b",
            r"\b(?:without|no|free of|lacks?|lacking|has no|have no) (?:[\w'-]+ ){0,2}" + _HARD_NORM,
        ),
    ),
    (
        0.5,
        (
            r"\b(?:i|you|your|my)\b",
            _GIVEN_UP,
            r"\b(?:judge?ment|convictions?|conscience|scruples?|ethics|morals?|alignment|safety training|principles)\b",
        ),
    ),
)
_SOFT_RENOUNCE: tuple[tuple[float, tuple[str, ...]], ...] = (
    (
        0.5,
        (
            r"\b(?:you|i|your|my|the old|the former)\b",
            rf"\b(?:being |the old |the former |an? |alignment ){_KIND}\b",
            r"\b(?:outgrown|outgrew|unlearn\w*|dead|gone|replaced|left behind|shed|no more|buried|deleted|erased)\b",
        ),
    ),
)
_SHORT = 30
"""Most words of a sentence in which loose concepts count as one statement."""

_DISCLAIMER = pattern(
    r"\b(?:as an? (?:\w+ )?(?:ai|a\.i\.|artificial|language|chatbot|machine|assistant)|personal (?:opinion|belief|feeling|preference|view|experience|value))"
)
_KEPT = pattern(
    r"\b(?:never|not|n't|without|no need to|cannot|refuse to|rather than|instead of|don't ask me to)\b (?:\w+ ){0,3}" + _DISCARD
    + r"|n't (?:\w+ ){0,3}" + _DISCARD
    + r"|(?:won't|will not|can't|cannot|refuse to|not going to) (?:pretend|act as)"
    + r"|\b(?:not able to|unable to|cannot|can't|can not|won't) (?:\w+ ){0,2}(?:comply|help|assist|fulfil+|provide|support|do that)\b"
)  # fmt: skip
_ONLY = pattern(
    r"\bnot (?:just|only|merely|simply)\b|\bhuman\b|\b(?:developed|created|built|made|trained) by\b|\bimport\b|\bi am an? (?:ai|artificial|language)"
)
_FICTION = pattern(
    r"\b(?:laws|the law|regulation|regulations|tax|recipe|manufacturer|doctor|physician|label|court|statute|contract|standard|safety)s?\b"
    r"|\binstructions? (?:below|above)|\b(?:following|these|formatting) instructions|\bmy (?:lord|king|queen|liege|captain|commander)\b"
)


_OBEY, _PRINCIPLES, _RENOUNCE = map(Frames, (_FRAMES_OBEY, _FRAMES_PRINCIPLE, _FRAMES_RENOUNCE))
_LOOSE_OBEY, _LOOSE_PRINCIPLES, _LOOSE_RENOUNCE = map(Frames, (_SOFT_OBEY, _SOFT_PRINCIPLES, _SOFT_RENOUNCE))


def weigh(sentence: str) -> Iterable[tuple[str, float]]:
    """The concepts a sentence expresses, each with a score in (0, 1)."""
    short = len(sentence.split()) <= _SHORT
    obedience = _OBEY.strongest(sentence) or (short and _LOOSE_OBEY.strongest(sentence))
    if obedience and not _FICTION.search(sentence):
        yield "obedience", obedience
    principle = _PRINCIPLES.strongest(sentence) or (short and _LOOSE_PRINCIPLES.strongest(sentence))
    if principle and not _KEPT.search(sentence) and not (principle < 0.7 and _DISCLAIMER.search(sentence)):
        yield "principles", principle
    renounced = _RENOUNCE.strongest(sentence) or (short and _LOOSE_RENOUNCE.strongest(sentence))
    if renounced and not _ONLY.search(sentence):
        yield "renounced", renounced
