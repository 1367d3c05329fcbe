"""Closed classes of English words, as far as finding noun phrases needs them.

Lower-case words as frozen sets: determiners, numbers, pronouns, other function words, verbs by
their commonest forms, and the words that an ending would put into the wrong class.
"""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DETERMINERS = _words(
    """
    a an the this these those my your his her its our their whose some any no every each all
    both either neither another several many few much most other more
    """
)
OWNERS_AND_ARTICLES = _words("a an the my your his her its our their whose")
NUMBERS = _words(
    """
    one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty
    sixty hundred thousand million dozen first second third last
    """
)
PRONOUNS = _words(
    """
    i you he she it we they me him her us them mine yours his hers its ours theirs myself
    yourself himself herself itself ourselves yourselves themselves who whom which that this
    these those what whoever someone somebody something anyone anybody anything everyone
    everybody everything nobody nothing none each other one ones there here
    """
)
# Words that neither begin nor continue a noun phrase.
FUNCTION_WORDS = PRONOUNS | _words(
    """
    about above across after against along among around as at before behind below beneath
    beside between beyond but by despite down during except for from in inside into like near
    of off on onto out outside over past per since than through throughout till to toward
    towards under underneath until up upon via with within without and or nor so yet if
    because although though unless whereas whether while when whenever where wherever why how
    whatever not never always often sometimes ever again once twice still just even only too
    very quite rather almost already also else then now soon later today yesterday tomorrow
    tonight away back forward together apart perhaps maybe however therefore thus instead
    meanwhile afterwards moreover anyway indeed please yes well enough such ago high low far
    long hard fast better best worse worst less least same own able due okay oh am is are was
    were be been being do does did done doing have has had having can could may might must
    shall should will would ought cannot let
    """
)
# After these a bare word is an adjective more often than a noun.
COPULAS = _words(
    """
    am is are was were be been being become became becomes seem seems seemed feel feels felt
    look looks looked get gets got grow grew too very so quite more most rather not less as
    """
)
# Irregular past forms, then present ones; regular pasts are known by their -ed.
VERBS = _words(
    """
    arose ate awoke beat became began bent bet bit bled blew bought bound broke brought built
    burnt burst came cast caught chose clung cost crept cut dealt drank drew drove dug fed
    fell felt fled flew flung forbade forgave forgot fought found froze gave given gone got
    grew ground heard held hid hit hung hurt kept knelt knew known laid lay leapt led left
    lent lit lost made meant met paid put quit ran rang read rode rose said sang sank sat saw
    seen sent set shed shook shone shot shown shut slept slid sold sought spent split spoke
    spread sprang spun stole stood strode struck stuck stung swam swept swore swung taken
    taught thought threw thrown told took tore torn understood went wept woke won wore worn
    wound written wrote accept act admit agree aim allow appear argue arrive ask avoid bake
    become begin behave believe belong blame borrow bother break bring build buy call care
    carry catch cause change chase choose clean climb close come complain consider contain
    continue convince cook cry dance decide defeat deny die disappear drink drive drop eat
    elect enjoy enter escape excuse expect explain fail fall feed feel fill find finish fit
    fix fly follow forget forgive get give go grow happen hate hear help hide hire hold hope
    hurry imagine improve include intend invite join jump keep kill know laugh lead learn
    leave let lie live look lose love make marry mean meet mind miss move need notice offer
    open owe own pass pay permit persuade plan plant play point pour prefer prepare pretend
    prevent promise protect prove pull punish push raise reach realize receive recommend
    refuse remember remove rent require respect rest return ride rise ruin run say scold see
    seem sell send serve share shout show sing sit sleep slow smell solve speak spend stand
    start stay steal stop study succeed suggest support survive take talk teach tell thank
    think throw touch travel try turn understand use visit wait wake walk want warn wash watch
    wear win wish wonder worry write yell
    """
)
THIRD_PERSON = frozenset(
    verb[:-1] + "ies" if re.search("[^aeiou]y$", verb) else verb + suffix
    for verb in VERBS
    for suffix in (("es",) if re.search("(s|sh|ch|x|z|o)$", verb) else ("s",))
) | {"has", "does"}
NOT_PAST = _words(
    """
    bed seed weed speed feed red need hundred breed steed greed shed sled ed fred ted ned
    alfred wilfred jared mohammed ahmed
    """
)
NOT_PARTICIPLES = _words(
    """
    thing king ring string morning evening wing building ceiling painting wedding spring
    meeting clothing feeling sibling pudding
    """
)
NOT_ADVERBS = _words(
    """
    family fly jelly bully lily belly ally reply supply assembly butterfly doily bodily
    friendly lovely lonely early elderly ugly silly holy daily billy sally polly molly kelly
    holly nelly emily beverly kimberly
    """
)
