# As much of nixpkgs' lib as the module and its tests use, in own words: options with types and priorities, and modules that
# are merged. Where NIXPKGS is set the tests take nixpkgs' own instead (evaluate.nix).
let
  inherit (builtins)
    all
    attrNames
    attrValues
    concatLists
    concatMap
    concatStringsSep
    elem
    filter
    foldl'
    head
    isAttrs
    isBool
    isFloat
    isFunction
    isInt
    isList
    isPath
    isString
    length
    listToAttrs
    match
    toJSON
    toString
    ;

  showOption = concatStringsSep ".";
  mapAttrs = builtins.mapAttrs;
  filterAttrs =
    keep: set:
    listToAttrs (
      concatMap (
        name:
        if keep name set.${name} then
          [
            {
              inherit name;
              value = set.${name};
            }
          ]
        else
          [ ]
      ) (attrNames set)
    );
  unique = foldl' (seen: x: if elem x seen then seen else seen ++ [ x ]) [ ];
  is = tag: value: isAttrs value && (value._type or null) == tag;

  # Definitions.
  mkOverride = priority: content: {
    _type = "override";
    inherit priority content;
  };
  defaultPriority = 100;
  mkIf = condition: content: {
    _type = "if";
    inherit condition content;
  };
  mkMerge = contents: {
    _type = "merge";
    inherit contents;
  };

  # A definition with conditions and priorities, as a list of plain ones.
  discharge =
    priority: def:
    if is "if" def then
      if def.condition then discharge priority def.content else [ ]
    else if is "merge" def then
      concatMap (discharge priority) def.contents
    else if is "override" def then
      discharge def.priority def.content
    else
      [
        {
          inherit priority;
          value = def;
        }
      ];

  # The same for sets of options: conditions move inwards unread, for they ask for options of this very set.
  pushDown =
    def:
    if is "if" def then
      map (mapAttrs (_: mkIf def.condition)) (pushDown def.content)
    else if is "merge" def then
      concatMap pushDown def.contents
    else if is "override" def then
      map (mapAttrs (_: mkOverride def.priority)) (pushDown def.content)
    else
      [ def ];

  strongest =
    defs:
    let
      best = foldl' (least: d: if d.priority < least then d.priority else least) 9999 defs;
    in
    map (d: d.value) (filter (d: d.priority == best) defs);

  # One option's (or element's) value, from all that is defined for it.
  mergeDefs =
    loc: type: defs:
    let
      values = strongest (concatMap (discharge defaultPriority) defs);
      wrong = filter (value: !type.check value) values;
    in
    if values == [ ] then
      throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option."
    else if wrong != [ ] then
      throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definition value: ${show (head wrong)}"
    else
      type.merge loc values;

  show =
    value: if isFunction value then "<function>" else builtins.unsafeDiscardStringContext (toJSON value);

  mergeEqual =
    loc: values:
    if all (value: value == head values) values then
      head values
    else
      throw "The option `${showOption loc}' has conflicting definition values: ${concatStringsSep ", " (map show values)}";

  mergeOne =
    loc: values:
    if length values == 1 then head values else throw "The option `${showOption loc}' is defined multiple times while it's expected to be unique.";

  mkType =
    {
      description,
      # Whether it wants brackets inside of another's description.
      descriptionClass ? "noun",
      check,
      merge ? mergeEqual,
      # Of a submodule, for the documentation: from a location, options.
      getSubOptions ? _: { },
    }:
    {
      _type = "option-type";
      inherit
        description
        descriptionClass
        check
        merge
        getSubOptions
        ;
    };
  phrase =
    classes: type: if elem type.descriptionClass classes then type.description else "(${type.description})";

  integer =
    low: high: descriptionClass: description:
    mkType {
      inherit description descriptionClass;
      check = value: isInt value && value >= low && (high == null || value <= high);
    };

  listWith =
    type: description: least:
    mkType {
      inherit description;
      descriptionClass = "composite";
      getSubOptions = prefix: type.getSubOptions (prefix ++ [ "*" ]);
      check = value: isList value && length value >= least;
      merge =
        loc: values:
        builtins.genList (i: mergeDefs (loc ++ [ "[definition ${toString (i + 1)}]" ]) type [ (builtins.elemAt (concatLists values) i) ]) (
          length (concatLists values)
        );
    };

  elements = phrase [
    "noun"
    "composite"
  ];

  types = rec {
    bool = mkType {
      description = "boolean";
      check = isBool;
    };
    str = mkType {
      description = "string";
      check = isString;
    };
    lines = mkType {
      description = "strings concatenated with \"\\n\"";
      check = isString;
      merge = _: concatStringsSep "\n";
    };
    strMatching =
      pattern:
      mkType {
        description = "string matching the pattern ${pattern}";
        check = value: isString value && match pattern value != null;
      };
    package = mkType {
      description = "package";
      check = value: isAttrs value || isString value;
      merge = mergeOne;
    };
    raw = mkType {
      description = "raw value";
      check = _: true;
      merge = mergeOne;
    };
    int = integer (-9223372036854775807) null "noun" "signed integer";
    ints = {
      unsigned = integer 0 null "nonRestrictiveClause" "unsigned integer, meaning >=0";
      positive = integer 1 null "nonRestrictiveClause" "positive integer, meaning >0";
    };
    port = integer 0 65535 "noun" "16 bit unsigned integer; between 0 and 65535 (both inclusive)";
    enum =
      values:
      mkType {
        description = "one of ${concatStringsSep ", " (map toJSON values)}";
        descriptionClass = "conjunction";
        check = value: elem value values;
      };
    nullOr =
      type:
      mkType {
        description = "null or ${
          phrase [
            "noun"
            "conjunction"
          ] type
        }";
        descriptionClass = "conjunction";
        inherit (type) getSubOptions;
        check = value: value == null || type.check value;
        merge =
          loc: values:
          if all (value: value == null) values then null else type.merge loc (filter (v: v != null) values);
      };
    listOf = type: listWith type "list of ${elements type}" 0;
    nonEmptyListOf = type: listWith type "non-empty (list of ${elements type})" 1;
    attrsOf =
      type:
      mkType {
        description = "attribute set of ${elements type}";
        descriptionClass = "composite";
        getSubOptions = prefix: type.getSubOptions (prefix ++ [ "<name>" ]);
        check = value: isAttrs value && !is "override" value;
        merge =
          loc: values:
          filterAttrs (_: value: value != unset) (
            listToAttrs (
              map (name: {
                inherit name;
                value =
                  let
                    defs = concatMap (value: if value ? ${name} then [ value.${name} ] else [ ]) values;
                  in
                  # A condition that does not hold leaves nothing behind.
                  if concatMap (discharge defaultPriority) defs == [ ] then
                    unset
                  else
                    mergeDefs (loc ++ [ name ]) type defs;
              }) (unique (concatMap attrNames values))
            )
          );
      };
    either =
      one: other:
      mkType {
        # Without sub-options, for whose would they be?
        description = "${
          phrase [
            "noun"
            "conjunction"
          ] one
        } or ${
          phrase [
            "noun"
            "conjunction"
            "composite"
          ] other
        }";
        descriptionClass = "conjunction";
        check = value: one.check value || other.check value;
        merge = loc: values: if all one.check values then one.merge loc values else other.merge loc values;
      };
    submodule =
      module:
      let
        evaluate = loc: values: evalUnder loc ([ module ] ++ map (config: { inherit config; }) values);
        undefined = evaluate [ "‹name›" ] [ ];
      in
      mkType {
        description =
          if undefined.freeformType == null then "submodule" else "open submodule of ${elements undefined.freeformType}";
        descriptionClass = "submodule";
        check = value: isAttrs value;
        getSubOptions = prefix: (evaluate prefix [ ]).options;
        merge = loc: values: (evaluate loc values).config;
      };
    # pkgs.formats.json: null, or one of the kinds that JSON has.
    json = mkType {
      description = "JSON value";
      descriptionClass = "conjunction";
      check = value: !isFunction value;
      merge =
        loc: values:
        let
          kind = head values;
        in
        if isAttrs kind && !(kind ? outPath) then
          (attrsOf json).merge loc (
            if all isAttrs values then values else throw "The option `${showOption loc}' has conflicting definition values: ${concatStringsSep ", " (map show values)}"
          )
        else if isList kind then
          (listOf json).merge loc values
        else
          mergeEqual loc values;
    };
  };
  unset = {
    _type = "unset";
  };

  isOption = is "option";

  # Modules: paths, functions or sets, with their imports. A path, or one with a key, counts once however often it is
  # imported; so do the nameless ones that it imports.
  collect =
    args: parent: modules:
    concatLists (
      builtins.genList (
        n:
        let
          module = builtins.elemAt modules n;
          loaded = if isPath module || isString module then import module else module;
          set = if isFunction loaded then loaded args else loaded;
          isShort = !(set ? config) && !(set ? options);
          key =
            set.key
              or (if isPath module || isString module then toString module else "${parent}:anon-${toString (n + 1)}");
        in
        collect args key (set.imports or [ ])
        ++ [
          {
            inherit key;
            options = set.options or { };
            freeformType = set.freeformType or null;
            config =
              if isShort then
                removeAttrs set [
                  "imports"
                  "freeformType"
                  "meta"
                  "key"
                  "_file"
                ]
              else
                set.config or { };
          }
        ]
      ) (length modules)
    );
  once = foldl' (
    seen: module: if builtins.any (other: other.key == module.key) seen then seen else seen ++ [ module ]
  ) [ ];
  inherit (builtins) removeAttrs;

  mergeOptions =
    loc: one: other:
    one
    // mapAttrs (
      name: value:
      if one ? ${name} && isOption value then
        throw "The option `${showOption (loc ++ [ name ])}' is already declared."
      else if one ? ${name} then
        mergeOptions (loc ++ [ name ]) one.${name} value
      else
        value
    ) other;
  located =
    loc:
    mapAttrs (
      name: option:
      if isOption option then option // { loc = loc ++ [ name ]; } else located (loc ++ [ name ]) option
    );

  # Options as declared, with the definitions that reach them.
  evalTree =
    loc: declared: freeformType: defs:
    let
      sets = concatMap pushDown defs;
      known = mapAttrs (
        name: option:
        let
          here = loc ++ [ name ];
          given = concatMap (set: if set ? ${name} then [ set.${name} ] else [ ]) sets;
          defaults = if option ? default then [ (mkOverride 1500 option.default) ] else [ ];
        in
        if isOption option then
          mergeDefs here option.type (given ++ defaults)
        else
          evalTree here option null given
      ) declared;
      strange = filter (name: !(declared ? ${name})) (unique (concatMap attrNames sets));
      free = freeformType.merge loc (map (set: filterAttrs (name: _: elem name strange) set) sets);
    in
    if strange == [ ] then
      known
    else if freeformType == null then
      throw "The option `${showOption (loc ++ [ (head strange) ])}' does not exist."
    else
      free // known;

  evalUnder =
    loc: modules:
    evalModules {
      inherit modules loc;
      specialArgs.name = builtins.elemAt loc (length loc - 1);
    };

  evalModules =
    {
      modules,
      specialArgs ? { },
      loc ? [ ],
    }:
    let
      args = specialArgs // {
        inherit lib config options;
      };
      all = once (collect args "" modules);
      options = located loc (foldl' (mergeOptions loc) { } (map (m: m.options) all));
      freeforms = filter (type: type != null) (map (m: m.freeformType) all);
      freeformType = if freeforms == [ ] then null else head freeforms;
      config = evalTree loc options freeformType (map (m: m.config) all);
    in
    {
      inherit config options freeformType;
    };

  # What nixpkgs' documentation shows, of what this project documents.
  optionAttrSetToDocList =
    options:
    concatMap (
      option:
      if !isOption option then
        optionAttrSetToDocList option
      else
        [
          (
            {
              name = showOption option.loc;
              type = option.type.description;
              inherit (option) description;
              internal = option.internal or false;
              visible = option.visible or true;
            }
            // (if option ? example then { example = render option.example; } else { })
            // (if option ? defaultText || option ? default then { default = render (option.defaultText or option.default); } else { })
          )
        ]
        ++ optionAttrSetToDocList (option.type.getSubOptions option.loc)
    ) (attrValues options);
  render =
    value:
    if value ? _type && value ? text then
      value
    else
      {
        _type = "literalExpression";
        text = pretty "" value;
      };
  # A value as Nix has it, an element a line.
  pretty =
    indent: value:
    let
      inner = "\n${indent}  ";
      within = open: texts: close: "${open}${inner}${concatStringsSep inner texts}\n${indent}${close}";
    in
    if value == { } then
      "{ }"
    else if value == [ ] then
      "[ ]"
    else if isList value then
      within "[" (map (pretty "${indent}  ") value) "]"
    else if isAttrs value then
      within "{" (attrValues (mapAttrs (name: each: "${name} = ${pretty "${indent}  " each};") value)) "}"
    else
      toJSON value;

  lib = {
    inherit
      evalModules
      concatMap
      filterAttrs
      isOption
      mapAttrs
      mkIf
      mkMerge
      mkOverride
      optionAttrSetToDocList
      types
      unique
      ;
    mkDefault = mkOverride 1000;
    mkForce = mkOverride 50;
    mkOption = attrs: attrs // { _type = "option"; };
    mkEnableOption =
      what:
      lib.mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
      };
    mkPackageOption =
      pkgs: name: _:
      lib.mkOption {
        type = types.package;
        default = pkgs.${name} or (throw "${name} cannot be found in pkgs");
        defaultText = lib.literalExpression "pkgs.${name}";
        description = "The ${name} package to use.";
      };
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    optionalString = condition: text: if condition then text else "";
    optionalAttrs = condition: set: if condition then set else { };
    genAttrs =
      names: make:
      listToAttrs (
        map (name: {
          inherit name;
          value = make name;
        }) names
      );
    mapAttrsToList = make: set: attrValues (mapAttrs make set);
    hasPrefix = prefix: text: builtins.substring 0 (builtins.stringLength prefix) text == prefix;
    versionAtLeast = version: least: builtins.compareVersions version least >= 0;
    attrValues = attrValues;
  };
in
lib
